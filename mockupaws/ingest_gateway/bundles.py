"""Requests of one partition gathered into one record. Pure: when a bundle is full, not when or how it is sent."""

from __future__ import annotations

from dataclasses import dataclass, field

from mockupaws.schemas.requests import join_bundle

MAX_REQUESTS = 0xFFFF
"""What `join_bundle` can count."""


@dataclass(frozen=True, slots=True)
class BundleLimits:
    max_lines: int
    max_bytes: int


@dataclass(slots=True, eq=False)
class Bundle:
    """Requests that wait to be sent to `partition` together."""

    partition: int
    requests: list[bytes] = field(default_factory=list)
    lines: int = 0
    size: int = 0

    def add(self, encoded: bytes, lines: int) -> None:
        self.requests.append(encoded)
        self.lines += lines
        self.size += len(encoded)

    def has_room(self, encoded: bytes, lines: int, limits: BundleLimits) -> bool:
        """Whether the request fits; an empty bundle takes any, so a large request goes alone."""
        if not self.requests:
            return True
        return (
            self.lines + lines <= limits.max_lines
            and self.size + len(encoded) <= limits.max_bytes
            and len(self.requests) < MAX_REQUESTS
        )

    def is_full(self, limits: BundleLimits) -> bool:
        return self.lines >= limits.max_lines or self.size >= limits.max_bytes

    def value(self) -> bytes:
        """The record's value."""
        return join_bundle(self.requests)
