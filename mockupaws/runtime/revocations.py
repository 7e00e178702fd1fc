"""Which access tokens are refused before they expire: the list is Postgres', and each process holds a copy.

A row names a token (`jti`), a session (`sid`) or a user (`sub`): their ids never meet, so one set serves all three.
A row is needed for no longer than the longest life of a token that was issued before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from mockupaws.runtime.access_tokens import TokenClaims

if TYPE_CHECKING:
    from mockupaws.runtime.postgres import Pool

OVERLAP = timedelta(seconds=10)
"""A transaction that began before the last reading may commit after it with an older `revoked_at`."""
_EPOCH = datetime.fromtimestamp(0, UTC)
_SINCE = "SELECT id, revoked_at, expires_at FROM revocations_since($1)"


class Revocation(msgspec.Struct, frozen=True, array_like=True):
    id: bytes
    expires_us: int


class RevokedTokens:
    """The copy. Pure, and without a clock."""

    def __init__(self) -> None:
        self._expires: dict[bytes, int] = {}

    def refuses(self, claims: TokenClaims) -> bool:
        return self.holds(claims.session_id, claims.user_id, claims.token_id)

    def holds(self, *ids: UUID) -> bool:
        """Whether any of them is revoked."""
        return any(id_.bytes in self._expires for id_ in ids)

    def apply(self, revocations: Iterable[Revocation]) -> bool:
        """Whether any of them is new."""
        before = len(self._expires)
        self._expires.update((revocation.id, revocation.expires_us) for revocation in revocations)
        return len(self._expires) > before

    def forget(self, now_us: int) -> None:
        """Drops rows whose tokens have all expired."""
        self._expires = {id_: expires for id_, expires in self._expires.items() if expires > now_us}

    def all(self) -> list[Revocation]:
        return [Revocation(id_, expires) for id_, expires in self._expires.items()]


class RevocationFeed:
    """Keeps a copy as new as its last `refresh`."""

    def __init__(self, pool: Pool, timeout_seconds: float) -> None:
        self.tokens = RevokedTokens()
        self.known = False
        """Whether the list was ever read, here or by the process whose snapshot was taken over."""
        self._pool = pool
        self._timeout_seconds = timeout_seconds
        self._newest = _EPOCH + OVERLAP

    async def refresh(self, now_us: int) -> bool:
        """Reads what was revoked since the last time; answers whether anything was. Raises what asyncpg raises."""
        async with asyncio.timeout(self._timeout_seconds):
            rows = await self._pool.fetch(_SINCE, self._newest - OVERLAP)
        self.tokens.forget(now_us)
        self._newest = max([self._newest, *(row["revoked_at"] for row in rows)])
        self.known = True
        return self.tokens.apply(Revocation(row["id"].bytes, _us(row["expires_at"])) for row in rows)

    def note(self, ids: Iterable[UUID], expires_us: int) -> None:
        """What this process itself has just revoked."""
        self.tokens.apply(Revocation(id_.bytes, expires_us) for id_ in ids)


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
