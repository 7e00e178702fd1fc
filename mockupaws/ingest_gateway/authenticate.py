"""Credential → principal: an API key, or an access token the API issued. Pure but for the directory's look-up.

What was revoked is refused once the directory's next refresh has read it; Redis has no part in it.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Self
from uuid import UUID

from mockupaws.ingest_gateway.directory import KeyRecord
from mockupaws.ingest_gateway.errors import RefusedError
from mockupaws.runtime import api_keys
from mockupaws.runtime.access_tokens import SigningSecrets, TokenClaims, read_token
from mockupaws.runtime.settings import Settings

SCOPE = "ingest"
MAX_PROVED = 10_000
"""Keys remembered as proved; beyond, the one proved first is proved anew."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sends: the tenant, and what the credential allows."""

    tenant_id: UUID
    scopes: tuple[str, ...]
    tenant_bytes: bytes
    tenant_text: str

    @classmethod
    def of(cls, tenant_id: UUID, scopes: Iterable[str]) -> Self:
        return cls(tenant_id, tuple(scopes), tenant_id.bytes, str(tenant_id))


class Authenticator:
    """Checks credentials under this installation's secrets."""

    def __init__(
        self,
        find_key: Callable[[str], Awaitable[KeyRecord | None]],
        look_again: Callable[[str], Awaitable[None]],
        is_revoked: Callable[[TokenClaims], bool],
        note_use: Callable[[str, datetime], None],
        settings: Settings,
    ) -> None:
        self._find_key = find_key
        self._look_again = look_again
        self._is_revoked = is_revoked
        self._note_use = note_use
        self._pepper = settings.api_key_pepper
        self._secrets = SigningSecrets.of(settings.jwt_secret, settings.jwt_previous_secret)
        self._digest_key = os.urandom(32)
        self._proved: dict[bytes, tuple[KeyRecord, Principal]] = {}
        """By digest of the whole key: what it was proved against. It counts as long as that record stands."""

    async def authenticate(self, headers: Mapping[str, str], now_us: int) -> Principal:
        """Who may ingest. Raises RefusedError (401, 403, 503)."""
        credential = _credential(headers)
        key = api_keys.parse(credential)
        if key is not None:
            principal = await self._of_key(key, now_us)
        else:
            principal = self._of_token(credential, now_us)
        if principal is None:
            raise RefusedError("unauthenticated", "the credential is unknown, expired or revoked")
        if SCOPE not in principal.scopes:
            raise RefusedError("forbidden", f"the credential lacks the scope {SCOPE!r}")
        return principal

    async def _of_key(self, key: api_keys.ParsedKey, now_us: int) -> Principal | None:
        record = await self._find_key(key.prefix)
        digest = blake2b((key.prefix + key.secret).encode(), key=self._digest_key, digest_size=32).digest()
        proved = self._proved.get(digest)
        if proved is None or proved[0] is not record:
            # An unknown prefix costs the same as a wrong secret.
            if not api_keys.matches(self._pepper, key.secret, record.secret_hmac if record else None) or record is None:
                if record is not None:
                    await self._look_again(key.prefix)
                return None
            proved = self._proved[digest] = record, Principal.of(UUID(bytes=record.tenant_id), record.scopes)
            if len(self._proved) > MAX_PROVED:
                del self._proved[next(iter(self._proved))]
        record, principal = proved
        if record.revoked or (record.expires_at_us is not None and record.expires_at_us <= now_us):
            return None
        self._note_use(key.prefix, datetime.fromtimestamp(now_us / 1e6, UTC))
        return principal

    def _of_token(self, token: str, now_us: int) -> Principal | None:
        claims = read_token(self._secrets, token, now_us)
        if claims is None or self._is_revoked(claims):
            return None
        return Principal.of(claims.tenant_id, claims.scopes)


def _credential(headers: Mapping[str, str]) -> str:
    key = headers.get("x-api-key")
    if key:
        return key.strip()
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not value.strip():
        raise RefusedError("unauthenticated", "send an API key as `Authorization: Bearer <key>` or `X-API-Key`")
    return value.strip()
