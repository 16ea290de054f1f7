"""The log: its port, its Kafka adapter, its memory twin, and the topics that exist."""
