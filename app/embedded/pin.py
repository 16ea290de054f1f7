"""Write the lock of the embedded Kafka's jars anew: `python -m app.embedded.pin`, for a new version."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from jgo.maven import MavenContext, PythonResolver

from app.embedded.jars import LOCK, VERSION

ROOTS = (f"org.apache.kafka:kafka_2.13:{VERSION}", "org.slf4j:slf4j-simple:1.7.36")


def pin() -> None:
    """Resolve Kafka and all it needs to run, fetch every jar, and note sizes and hashes."""
    with tempfile.TemporaryDirectory() as scratch:
        maven = MavenContext(PythonResolver(), repo_cache=Path(scratch))
        roots, needed = maven.resolver.resolve([maven.create_dependency(root) for root in ROOTS])
        lines = []
        for artifact in (dependency.artifact for dependency in [*roots, *needed]):
            jar = artifact.resolve().read_bytes()
            coordinate = f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"
            lines.append(f"{coordinate} {len(jar)} {hashlib.sha256(jar).hexdigest()}\n")
    LOCK.write_text("".join(sorted(lines)), encoding="utf-8")


if __name__ == "__main__":
    pin()
