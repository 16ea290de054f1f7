"""Every metric, in one place; names follow OpenMetrics, with units."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

COMMANDS = Counter("taskledger_commands", "Commands answered, by kind and outcome code.", ["command", "outcome"])
COMMAND_SECONDS = Histogram(
    "taskledger_command_duration_seconds", "From decoding a command to knowing its outcome.", buckets=_SECONDS
)
READ_BACK_SECONDS = Histogram(
    "taskledger_read_back_duration_seconds", "From sending a record to reading it back.", buckets=_SECONDS
)
LOST_RACES = Counter("taskledger_lost_races", "Records of this process that lost their version to another.")
OVERLAY_BYTES = Gauge("taskledger_overlay_bytes", "Memory that the overlay accounts for.")
OVERLAY_TASKS = Gauge("taskledger_overlay_tasks", "Tasks that the overlay knows.")
STREAM_CLIENTS = Gauge("taskledger_stream_clients", "Open server-sent event streams.")
STREAM_DROPS = Counter("taskledger_stream_drops", "Streams ended because the client was too slow.")
PROJECTED_EVENTS = Counter(
    "taskledger_projected_events", "Records that the projections have passed, by verdict.", ["verdict"]
)
PROJECTION_BATCH_SECONDS = Histogram(
    "taskledger_projection_batch_duration_seconds", "Time of one projection transaction.", buckets=_SECONDS
)
BATCH_RETRIES = Counter("taskledger_batch_retries", "Batches that failed and were tried again, by agent.", ["agent"])
HOLES_FILLED = Counter(
    "taskledger_holes_filled", "Records read again from the log because Faust had skipped them.", ["agent"]
)
PUBLISHED_EVENTS = Counter("taskledger_published_events", "Events forwarded to the typed topics.", ["type"])
