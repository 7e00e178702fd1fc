"""One installation on one machine: its folder, its ports and its secrets, chosen once and kept.

Everything stands below `settings.home`: `data/` (Kafka, Postgres, archive), `logs/`, `run/` (ports, state, lock),
`secrets.json` (0600) and `demo.env` (0600). Gateway and API listen where the settings say; all other ports are free
ones picked at the first start, so that two checkouts run side by side.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from mockupaws.runtime.errors import PermanentError
from mockupaws.runtime.replace_file import replace_file
from mockupaws.runtime.settings import Settings

PORT_NAMES = (
    "kafka",
    "kafka_controller",
    "postgres",
    "valkey",
    "processor_health",
    "postgres_sink_health",
    "parquet_sink_health",
    "maintenance_health",
)
SECRET_NAMES = (
    "postgres_superuser",
    "mockupaws_owner",
    "mockupaws_sink",
    "mockupaws_api",
    "api_key_pepper",
    "jwt_secret",
    "audit_key",
    "tenant_key_secret",
    "demo_password",
)
DATABASE = "mockupaws"
_ADDRESSES_FILE = "addresses.json"
_ADDRESSES = ("gateway_host", "gateway_port", "api_host", "api_port")
LOOPBACK = "127.0.0.1"


class PortTakenError(PermanentError):
    """Something else listens where the gateway or the API should."""


@dataclasses.dataclass(frozen=True, slots=True)
class Installation:
    home: Path
    ports: dict[str, int]
    secrets: dict[str, str]
    settings: Settings
    """As the processes get them: every address, password and secret filled in."""

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Reads the installation below `settings.home`, or makes it. Nothing is started."""
        home = settings.home.resolve()
        for folder in (home, home / "data", home / "logs", home / "run"):
            folder.mkdir(parents=True, exist_ok=True)
        known_ports: dict[str, int] = _read_json(home / "run" / "ports.json")
        ports = known_ports | _free_ports(name for name in PORT_NAMES if name not in known_ports)
        known_secrets: dict[str, str] = _read_json(home / "secrets.json")
        words = known_secrets | {name: secrets.token_urlsafe(32) for name in SECRET_NAMES if name not in known_secrets}
        if ports != known_ports:
            replace_file(home / "run" / "ports.json", json.dumps(ports, indent=1).encode())
        if words != known_secrets:
            replace_file(home / "secrets.json", json.dumps(words, indent=1).encode(), mode=0o600)
        return cls(home, ports, words, _fill_in(settings, home, ports, words))

    @staticmethod
    def exists(settings: Settings) -> bool:
        """Whether `open` would read an installation rather than make one."""
        return (settings.home / "run" / "ports.json").exists()

    def note_addresses(self) -> None:
        """For commands that are given other settings while this runs."""
        kept = {name: getattr(self.settings, name) for name in _ADDRESSES}
        replace_file(self.home / "run" / _ADDRESSES_FILE, json.dumps(kept, indent=1).encode())

    def as_running(self) -> Self:
        """With the addresses its processes were started with: for use while they run, whatever the settings say now."""
        kept = _read_json(self.home / "run" / _ADDRESSES_FILE)
        return dataclasses.replace(self, settings=dataclasses.replace(self.settings, **kept))

    @property
    def demo_file(self) -> Path:
        return self.home / "demo.env"

    @property
    def state_file(self) -> Path:
        return self.home / "run" / "state.json"

    @property
    def lock_file(self) -> Path:
        return self.home / "run" / "lock"

    @property
    def superuser_url(self) -> str:
        return self.postgres_url("postgres", self.secrets["postgres_superuser"], "postgres")

    def log_file(self, process: str) -> Path:
        return self.home / "logs" / f"{process}.log"

    def postgres_url(self, role: str, password: str, database: str = DATABASE) -> str:
        return _postgres_url(self.ports, role, password, database)

    def check_public_ports(self) -> None:
        """Raises PortTakenError naming the setting to change."""
        for name, host, port in (
            ("MOCKUPAWS_GATEWAY_PORT", self.settings.gateway_host, self.settings.gateway_port),
            ("MOCKUPAWS_API_PORT", self.settings.api_host, self.settings.api_port),
        ):
            if not _is_free(host, port):
                raise PortTakenError(
                    f"port {port} of {host} is taken by another program; choose another one: {name}={port + 10}"
                )


def _postgres_url(ports: dict[str, int], role: str, password: str, database: str) -> str:
    return f"postgresql://{role}:{password}@{LOOPBACK}:{ports['postgres']}/{database}"


def _fill_in(settings: Settings, home: Path, ports: dict[str, int], words: dict[str, str]) -> Settings:
    def url(role: str) -> str:
        return _postgres_url(ports, role, words[role], DATABASE)

    return dataclasses.replace(
        settings,
        home=home,
        kafka_bootstrap_servers=f"{LOOPBACK}:{ports['kafka']}",
        postgres_owner_url=url("mockupaws_owner"),
        postgres_sink_url=url("mockupaws_sink"),
        postgres_api_url=url("mockupaws_api"),
        redis_url=f"redis://{LOOPBACK}:{ports['valkey']}/0",
        archive_url=settings.archive_url or f"file://{home}/data/archive",
        api_key_pepper=settings.api_key_pepper or words["api_key_pepper"],
        jwt_secret=settings.jwt_secret or words["jwt_secret"],
        audit_key=settings.audit_key or words["audit_key"],
        tenant_key_secret=settings.tenant_key_secret or words["tenant_key_secret"],
    )


def _read_json(path: Path) -> dict:  # type: ignore[type-arg] # each caller names its value type
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return {}


def _free_ports(names: Iterable[str]) -> dict[str, int]:
    """Held open together until all are chosen, so that no two are the same."""
    held: dict[str, socket.socket] = {}
    try:
        for name in names:
            held[name] = socket.socket()
            held[name].bind((LOOPBACK, 0))
        return {name: held[name].getsockname()[1] for name in held}
    finally:
        for probe in held.values():
            probe.close()


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
