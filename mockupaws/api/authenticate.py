"""Who is asking: an access token or an API key → tenant and scopes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import bcrypt
from starlette.requests import Request

from mockupaws.api.errors import RefusedError
from mockupaws.runtime import api_keys
from mockupaws.runtime.access_tokens import issue_token, read_token
from mockupaws.runtime.clock import Clock
from mockupaws.runtime.postgres import Pool
from mockupaws.runtime.settings import Settings

SESSION_COOKIE = "mockupaws_session"

SCOPES_OF_ROLE: dict[str, tuple[str, ...]] = {
    "owner": ("read", "manage", "operate"),
    "analyst": ("read",),
    "producer": (),
    "operator": ("read", "operate"),
}
KEY_CACHE_SECONDS = 5.0
"""How long a revoked key may still be taken."""
_KEY_CACHE_SIZE = 10_000
_UNKNOWN_USER_HASH = b"$2b$12$bhpYDvkQTHz7QdN26j0sSOe1.vmtQ.kRNI4aY46LjGJ3FXwSNcdUi"
"""Of a random password nobody kept, at the users' own cost: checking it takes as long as checking theirs."""


@dataclass(frozen=True, slots=True)
class Principal:
    tenant_id: UUID
    subject: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _KeyRow:
    id: UUID
    tenant_id: UUID
    secret_hmac: bytes
    scopes: tuple[str, ...]
    expires_at: datetime | None
    read_at: float


class Authenticator:
    def __init__(self, settings: Settings, primary: Pool, clock: Clock) -> None:
        self._settings = settings
        self._primary = primary
        self._clock = clock
        self._keys: dict[str, _KeyRow] = {}

    async def log_in(self, email: str, password: str) -> str | None:
        """An access token, or None; an unknown e-mail takes as long as a wrong password."""
        async with asyncio.timeout(self._settings.postgres_timeout_seconds):
            user = await self._primary.fetchrow("SELECT * FROM find_user($1)", email.strip().lower())
        stored = user["password_hash"].encode() if user else _UNKNOWN_USER_HASH
        # bcrypt reads 72 bytes and refuses more; cutting is what it did before.
        matches = await asyncio.to_thread(bcrypt.checkpw, password.encode()[:72], stored)
        return self._access_token(user["id"], user["tenant_id"], user["role"]) if user and matches else None

    def _access_token(self, user_id: UUID, tenant_id: UUID, role: str) -> str:
        return issue_token(
            self._settings.jwt_secret,
            user_id=user_id,
            tenant_id=tenant_id,
            role=role,
            scopes=SCOPES_OF_ROLE[role],
            token_id=uuid4(),
            now=self._clock.now_us() // 1_000_000,
            life=self._settings.access_token_seconds,
        )

    async def authenticate(self, request: Request) -> Principal:
        """Raises RefusedError where there is no valid credential; the message doesn't say which part was wrong."""
        credential = _credential(request)
        principal = None
        if credential.startswith("mk_"):
            principal = await self._of_api_key(credential)
        elif credential:
            principal = self._of_token(credential)
        if principal is None:
            raise RefusedError("unauthenticated", "send a valid access token or API key as `Authorization: Bearer …`")
        return principal

    def _of_token(self, token: str) -> Principal | None:
        claims = read_token(self._settings.jwt_secret, token, self._clock.now_us())
        return Principal(claims.tenant_id, claims.subject, claims.scopes) if claims else None

    async def _of_api_key(self, text: str) -> Principal | None:
        key = api_keys.parse(text)
        row = await self._key_row(key.prefix) if key else None
        if key is None or row is None:
            return None
        if not api_keys.matches(self._settings.api_key_pepper, key.secret, row.secret_hmac):
            return None
        now = datetime.fromtimestamp(self._clock.now_us() / 1e6, UTC)
        if row.expires_at is not None and row.expires_at <= now:
            return None
        return Principal(row.tenant_id, f"api-key:{row.id}", row.scopes)

    async def _key_row(self, prefix: str) -> _KeyRow | None:
        now = time.monotonic()
        cached = self._keys.get(prefix)
        if cached is not None and now - cached.read_at < KEY_CACHE_SECONDS:
            return cached
        self._keys.pop(prefix, None)
        async with asyncio.timeout(self._settings.postgres_timeout_seconds):
            found = await self._primary.fetchrow("SELECT * FROM find_api_key($1)", prefix)
        if found is None or found["revoked_at"] is not None:
            return None
        row = _KeyRow(
            found["id"], found["tenant_id"], found["secret_hmac"], tuple(found["scopes"]), found["expires_at"], now
        )
        if len(self._keys) >= _KEY_CACHE_SIZE:
            self._keys.clear()
        self._keys[prefix] = row
        return row


def _credential(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    return request.headers.get("x-api-key") or ""
