"""Read model `task_history`, which answers: what happened to each task, and when."""
