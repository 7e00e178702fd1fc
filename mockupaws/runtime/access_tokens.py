"""Access tokens: JWTs that the API issues and that gateway and API accept by the same rules. Pure.

A token is signed with HS256 under the current secret and names it by `kid`. While secrets are rotated, tokens under the
previous one are accepted, too; a `kid` that is neither's is refused, whatever it says. Only what this module writes is
read: any other header field, claim, type or a claim given twice is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import jwt
import msgspec

MAX_TOKEN_CHARACTERS = 4096
"""More is none of ours, and isn't looked at."""
CLOCK_LEEWAY_SECONDS = 5
"""How far the issuer's clock may be ahead of the reader's. A token's end has no leeway."""

_ISSUER = _AUDIENCE = "mockupaws"
_ALGORITHM = "HS256"
_jws = jwt.PyJWS(algorithms=[_ALGORITHM])


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """Who a valid token speaks for, and what it allows."""

    tenant_id: UUID
    user_id: UUID
    role: str
    scopes: tuple[str, ...]
    token_id: UUID
    session_id: UUID
    """The sign-in it came from; ends with it."""

    @property
    def subject(self) -> str:
        return str(self.user_id)


@dataclass(frozen=True, slots=True)
class SigningSecrets:
    """The secrets that tokens may be signed with, by `kid`."""

    current: str
    by_kid: Mapping[str, str]

    @classmethod
    def of(cls, current: str, previous: str = "") -> Self:
        return cls(current, {kid_of(secret): secret for secret in (previous, current) if secret})


class _Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    iss: str
    aud: str
    sub: UUID
    tenant_id: UUID
    role: str
    scopes: tuple[str, ...]
    jti: UUID
    sid: UUID
    iat: int
    exp: int
    nbf: int = 0


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alg: str
    typ: str
    kid: str


def kid_of(secret: str) -> str:
    """The name of a secret in the tokens it signs: tells nothing of it."""
    return hmac.digest(secret.encode(), b"mockupaws access token kid", hashlib.sha256)[:8].hex()


def issue_token(
    secrets: SigningSecrets,
    *,
    user_id: UUID,
    tenant_id: UUID,
    role: str,
    scopes: Sequence[str],
    token_id: UUID,
    session_id: UUID,
    now: int,
    life: int,
) -> str:
    """`now` is epoch s, `life` the seconds until the token expires."""
    claims = {
        "iss": _ISSUER,
        "aud": _AUDIENCE,
        "sub": str(user_id),
        "tenant_id": str(tenant_id),
        "role": role,
        "scopes": list(scopes),
        "jti": str(token_id),
        "sid": str(session_id),
        "iat": now,
        "exp": now + life,
    }
    payload = msgspec.json.encode(claims)
    return _jws.encode(payload, secrets.current, _ALGORITHM, headers={"kid": kid_of(secrets.current)})


def read_token(secrets: SigningSecrets, token: str, now_us: int) -> TokenClaims | None:
    """The claims of a token that this installation signed and that hasn't expired; None for anything else."""
    if len(token) > MAX_TOKEN_CHARACTERS or token.count(".") != 2:
        return None
    try:
        header = msgspec.convert(jwt.get_unverified_header(token), _Header)
        secret = secrets.by_kid.get(header.kid)
        if secret is None:
            return None
        payload = _jws.decode(token, secret, algorithms=[_ALGORITHM])
        claims = msgspec.convert(json.loads(payload, object_pairs_hook=_each_once), _Claims)
    except (jwt.PyJWTError, msgspec.ValidationError, ValueError, RecursionError):
        return None
    now = now_us / 1_000_000
    begun = max(claims.iat, claims.nbf) <= now + CLOCK_LEEWAY_SECONDS
    if (claims.iss, claims.aud) != (_ISSUER, _AUDIENCE) or not begun or claims.exp <= now:
        return None
    return TokenClaims(claims.tenant_id, claims.sub, claims.role, claims.scopes, claims.jti, claims.sid)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises ValueError where a name stands twice: readers differ in which of them they believe."""
    claims = dict(pairs)
    if len(claims) < len(pairs):
        raise ValueError("a claim is given twice")
    return claims
