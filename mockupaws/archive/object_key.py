"""Names of archive objects. Pure; `format` and `parse` are inverse.

A name says whose lines it holds, of which hour, from which offsets, and ends in the start of its content's SHA-256:
two sinks that race for the same offsets can't overwrite each other's object with other bytes. Names are Hive-style,
so query engines prune by tenant, scenario and hour; but only what stands in `archive_objects` is archived.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from uuid import UUID

from mockupaws.runtime.errors import PermanentError

DIGEST_CHARACTERS = 16
_HOUR = "%Y-%m-%dT%H"
_KEY = re.compile(
    r"tenant_id=(?P<tenant_id>[0-9a-f-]{36})/scenario_id=(?P<scenario_id>[0-9a-f-]{36})"
    r"/hour=(?P<hour>\d{4}-\d\d-\d\dT\d\d)"
    r"/(?P<topic>[A-Za-z0-9._-]+)-(?P<partition>\d+)-(?P<first>\d{20})-(?P<last>\d{20})-(?P<digest>[0-9a-f]{16})\.parquet"
)


class ObjectKeyError(PermanentError):
    """The text names no archive object."""


@dataclass(frozen=True, slots=True)
class ObjectKey:
    tenant_id: UUID
    scenario_id: UUID
    hour: datetime
    """Start of the hour of `received_at`, UTC."""
    topic: str
    partition: int
    first_offset: int
    last_offset: int
    digest: str
    """First 16 hexadecimal digits of the content's SHA-256."""

    def format(self) -> str:
        return (
            f"tenant_id={self.tenant_id}/scenario_id={self.scenario_id}/hour={self.hour.astimezone(UTC):{_HOUR}}/"
            f"{self.topic}-{self.partition}-{self.first_offset:020}-{self.last_offset:020}-{self.digest}.parquet"
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ObjectKeyError on anything `format` doesn't make."""
        match = _KEY.fullmatch(text)
        if match is None:
            raise ObjectKeyError(f"{text!r} names no archive object")
        return cls(
            tenant_id=UUID(match["tenant_id"]),
            scenario_id=UUID(match["scenario_id"]),
            hour=datetime.strptime(match["hour"], _HOUR).replace(tzinfo=UTC),
            topic=match["topic"],
            partition=int(match["partition"]),
            first_offset=int(match["first"]),
            last_offset=int(match["last"]),
            digest=match["digest"],
        )
