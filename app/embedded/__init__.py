"""A real Kafka and a real PostgreSQL on this machine, and the supervisor that keeps everything running."""
