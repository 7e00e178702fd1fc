"""Credential → principal: an API key, or an access token the API issued. Pure but for the directory's look-up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from mockupaws.ingest_gateway.directory import KeyRecord
from mockupaws.ingest_gateway.errors import RefusedError
from mockupaws.runtime import api_keys
from mockupaws.runtime.access_tokens import read_token

SCOPE = "ingest"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sends: the tenant, and what the credential allows."""

    tenant_id: UUID
    scopes: tuple[str, ...]


class Authenticator:
    """Checks credentials under this installation's secrets."""

    def __init__(
        self, find_key: Callable[[str], Awaitable[KeyRecord | None]], api_key_pepper: str, jwt_secret: str
    ) -> None:
        self._find_key = find_key
        self._pepper = api_key_pepper
        self._jwt_secret = jwt_secret

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
        if record is None or not api_keys.matches(self._pepper, key.secret, record.secret_hmac):
            return None
        if record.revoked or (record.expires_at_us is not None and record.expires_at_us <= now_us):
            return None
        return Principal(UUID(bytes=record.tenant_id), tuple(record.scopes))

    def _of_token(self, token: str, now_us: int) -> Principal | None:
        claims = read_token(self._jwt_secret, token, now_us)
        return Principal(claims.tenant_id, claims.scopes) if claims else None


def _credential(headers: Mapping[str, str]) -> str:
    key = headers.get("x-api-key")
    if key:
        return key.strip()
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not value.strip():
        raise RefusedError("unauthenticated", "send an API key as `Authorization: Bearer <key>` or `X-API-Key`")
    return value.strip()
