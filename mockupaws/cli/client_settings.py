"""Where the client commands find the servers and their key: flags, then the environment, then `.mockupaws/demo.env`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mockupaws.runtime.errors import SettingsError
from mockupaws.runtime.settings import PREFIX

DEMO_FILE = Path(".mockupaws/demo.env")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    ingest_url: str
    api_url: str
    api_key: str
    scenario_id: str

    @classmethod
    def resolve(cls, flags: Mapping[str, str | None], environ: Mapping[str, str], demo_text: str) -> ClientSettings:
        """Raises SettingsError naming what is found nowhere."""
        demo = parse_environment_file(demo_text)
        values: dict[str, str] = {}
        for name in cls.__slots__:
            variable = PREFIX + name.upper()
            value = flags.get(name) or environ.get(variable) or demo.get(variable)
            if not value:
                raise SettingsError(
                    f"{variable} is not set: give it in the environment, or run where `mockupaws up` wrote {DEMO_FILE}"
                )
            values[name] = value.rstrip("/") if name.endswith("url") else value
        return cls(**values)


def parse_environment_file(text: str) -> dict[str, str]:
    """`NAME=value` lines; quotes around a value are taken off, comments and other lines are skipped."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            values[name.strip()] = value.strip().strip("'\"")
    return values


def read_demo_file(home: Path = DEMO_FILE.parent) -> str:
    try:
        return (home / DEMO_FILE.name).read_text()
    except FileNotFoundError:
        return ""
