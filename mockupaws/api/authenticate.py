"""Who is asking: an access token or an API key → tenant and scopes.

A revoked key or token is refused here within CACHE_SECONDS, wherever it was revoked: the database is asked again after
that, and Redis has no part in it. While the database is down nothing can be revoked, and what is known stays in force.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from starlette.requests import Request

from mockupaws.api.errors import RefusedError
from mockupaws.runtime import api_keys
from mockupaws.runtime.access_tokens import SigningSecrets, read_token
from mockupaws.runtime.clock import Clock
from mockupaws.runtime.key_uses import KeyUses
from mockupaws.runtime.postgres import Pool, is_retriable
from mockupaws.runtime.revocations import RevocationFeed
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import get_logger

SESSION_COOKIE = "mockupaws_session"

CACHE_SECONDS = 2.0
"""How old what is known of keys and revocations may be: with the query's own time it stays below 5 s."""
_KEY_CACHE_SIZE = 10_000
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Principal:
    tenant_id: UUID
    subject: str
    """A user's id, or `api-key:<id>`."""
    scopes: tuple[str, ...]
    user_id: UUID | None = None
    """None: an API key."""
    session_id: UUID | None = None
    key_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class _KeyRow:
    id: UUID
    tenant_id: UUID
    secret_hmac: bytes
    scopes: tuple[str, ...]
    expires_at: datetime | None


class Authenticator:
    """`watch_revocations` has to run beside it."""

    def __init__(self, settings: Settings, primary: Pool, clock: Clock) -> None:
        self._settings = settings
        self._secrets = SigningSecrets.of(settings.jwt_secret, settings.jwt_previous_secret)
        self._primary = primary
        self._clock = clock
        self._keys: dict[str, tuple[float, _KeyRow | None]] = {}
        self._revocations = RevocationFeed(primary, settings.postgres_timeout_seconds)
        self.key_uses = KeyUses(primary, settings.postgres_timeout_seconds)

    async def watch_revocations(self) -> None:
        """Reads what is revoked, until cancelled."""
        while True:
            try:
                await self._revocations.refresh(self._clock.now_us())
            except Exception as error:
                if not is_retriable(error):
                    raise
                _log.warning("revocations_not_read", error=type(error).__name__)
            await asyncio.sleep(CACHE_SECONDS)

    async def authenticate(self, request: Request) -> Principal:
        """Raises RefusedError where there is no valid credential; the message doesn't say which part was wrong."""
        credential = _credential(request)
        principal = None
        if credential.startswith("mk_"):
            principal = await self._of_api_key(credential)
        elif credential:
            principal = await self._of_token(credential)
        if principal is None:
            raise RefusedError("unauthenticated", "send a valid access token or API key as `Authorization: Bearer …`")
        return principal

    async def has_ended(self, principal: Principal) -> bool:
        """Whether a credential taken before is revoked or gone by now: for answers that go on for long."""
        if principal.key_prefix is not None:
            row = await self._key_row(principal.key_prefix)
            return row is None or (row.expires_at is not None and row.expires_at <= self._now())
        ids = [id_ for id_ in (principal.user_id, principal.session_id) if id_ is not None]
        return self._revocations.tokens.holds(*ids)

    def forget_key(self, prefix: str) -> None:
        """A change made here is in force here at once."""
        self._keys.pop(prefix, None)

    def forget_tokens(self, ids: list[UUID], expires_us: int) -> None:
        """The same for tokens, by the id of a session or user."""
        self._revocations.note(ids, expires_us)

    async def _of_token(self, token: str) -> Principal | None:
        now_us = self._clock.now_us()
        claims = read_token(self._secrets, token, now_us)
        if claims is None:
            return None
        if not self._revocations.known:  # this process has just started: it mustn't take what others refuse
            await self._revocations.refresh(now_us)
        if self._revocations.tokens.refuses(claims):
            return None
        return Principal(claims.tenant_id, claims.subject, claims.scopes, claims.user_id, claims.session_id)

    async def _of_api_key(self, text: str) -> Principal | None:
        key = api_keys.parse(text)
        row = await self._key_row(key.prefix) if key else None
        # An unknown prefix costs the same as a wrong secret.
        secret, stored = (key.secret, row.secret_hmac if row else None) if key else (text[:64], None)
        if not api_keys.matches(self._settings.api_key_pepper, secret, stored) or key is None or row is None:
            return None
        now = self._now()
        if row.expires_at is not None and row.expires_at <= now:
            return None
        self.key_uses.note(key.prefix, now)
        return Principal(row.tenant_id, f"api-key:{row.id}", row.scopes, key_prefix=key.prefix)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_us() / 1e6, UTC)

    async def _key_row(self, prefix: str) -> _KeyRow | None:
        now = time.monotonic()
        cached = self._keys.get(prefix)
        if cached is not None and now - cached[0] < CACHE_SECONDS:
            return cached[1]
        try:
            async with asyncio.timeout(self._settings.postgres_timeout_seconds):
                found = await self._primary.fetchrow("SELECT * FROM find_api_key($1)", prefix)
        except Exception as error:
            if cached is None or not is_retriable(error):
                raise
            self._keys[prefix] = now, cached[1]  # what is known serves on: replicas may still be read
            return cached[1]
        row = None
        if found is not None and found["revoked_at"] is None:
            row = _KeyRow(
                found["id"], found["tenant_id"], found["secret_hmac"], tuple(found["scopes"]), found["expires_at"]
            )
        if len(self._keys) >= _KEY_CACHE_SIZE:
            self._keys.clear()
        self._keys[prefix] = now, row
        return row


def _credential(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    return request.headers.get("x-api-key") or ""
