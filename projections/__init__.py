"""The read models: pure folds of the log, their tables, and the engine that commits both together."""
