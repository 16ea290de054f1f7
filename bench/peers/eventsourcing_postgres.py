"""Creates with the library `eventsourcing`, in process: `python -m bench.peers.eventsourcing_postgres URL SECONDS`.

No HTTP at all, and one aggregate a call. Prints creates a second.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

THREADS = 4
"""More than cores, as a thread waits for PostgreSQL much of the time; more than these only wait for the interpreter."""
WARMUP_SECONDS = 1.0


class Task(Aggregate):
    """A task as an aggregate of the library."""

    @event("Created")
    def __init__(self, title: str, description: str, priority: int, tags: list[str]) -> None:
        self.title = title
        self.description = description
        self.priority = priority
        self.tags = tags
        self.status = "open"


class Tasks(Application[UUID]):
    """The tasks."""

    def create(self) -> UUID:
        """Make one, as the load generator does."""
        task = Task(
            title="Order paper for the office printer",
            description="Two boxes, recycled, from the usual shop.",
            priority=1,
            tags=["office", "errand"],
        )
        self.save(task)
        return task.id


def settings(url: str) -> dict[str, str]:
    """Say the database's URL in the library's words."""
    parts = urlsplit(url)
    host = parts.hostname or parse_qs(parts.query)["host"][0]
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": parts.path[1:],
        "POSTGRES_HOST": host,
        "POSTGRES_PORT": str(parts.port or 5432),
        "POSTGRES_USER": parts.username or "",
        "POSTGRES_PASSWORD": parts.password or "",
        "POSTGRES_POOL_SIZE": str(THREADS),
    }


def measure(url: str, seconds: float) -> float:
    """Give the creates a second of all threads together."""
    tasks = Tasks(env=settings(url))

    def work(until: float) -> int:
        made = 0
        while time.perf_counter() < until:
            tasks.create()
            made += 1
        return made

    with ThreadPoolExecutor(THREADS) as threads:
        for duration in (WARMUP_SECONDS, seconds):
            begun = time.perf_counter()
            made = sum(threads.map(work, [begun + duration] * THREADS))
            rate = made / (time.perf_counter() - begun)
    tasks.close()
    return rate


if __name__ == "__main__":
    print(measure(sys.argv[1], float(sys.argv[2])))
