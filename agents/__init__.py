"""The Faust worker: agents that read the log and keep everything derived from it up to date."""
