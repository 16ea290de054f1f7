"""The web view: commands and queries over HTTP, the live stream, the page."""
