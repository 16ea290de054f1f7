"""Read model `task`, which answers: what is each task now."""
