"""Access tokens: JWTs that the API issues and that gateway and API accept by the same rules. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt

_ISSUER = _AUDIENCE = "mockupaws"
_ALGORITHM = "HS256"
_REQUIRED = ("exp", "iat", "iss", "aud", "sub", "jti", "tenant_id", "scopes")


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """Who a valid token speaks for, and what it allows."""

    tenant_id: UUID
    subject: str
    scopes: tuple[str, ...]


def issue_token(
    secret: str,
    *,
    user_id: UUID,
    tenant_id: UUID,
    role: str,
    scopes: Sequence[str],
    token_id: UUID,
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
        "iat": now,
        "exp": now + life,
    }
    return jwt.encode(claims, secret, algorithm=_ALGORITHM)


def read_token(secret: str, token: str, now_us: int) -> TokenClaims | None:
    """The claims of a token that this installation signed and that hasn't expired; None for anything else."""
    if not secret or token.count(".") != 2:
        return None
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=[_ALGORITHM],
            audience=_AUDIENCE,
            issuer=_ISSUER,
            options={"require": list(_REQUIRED), "verify_exp": False},  # by the caller's clock, below
        )
        if claims["exp"] * 1_000_000 <= now_us:
            return None
        return TokenClaims(UUID(claims["tenant_id"]), claims["sub"], tuple(claims["scopes"]))
    except (jwt.PyJWTError, TypeError, ValueError, AttributeError):
        return None
