"""API keys: `mk_<prefix>_<secret>`. The prefix finds the row; of the secret only an HMAC under a pepper is stored.

The secret has 256 random bits, so a fast keyed hash is enough: there is nothing to guess offline. Pure.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import NamedTuple

RANDOM_BYTES = 40
"""How much randomness `mint` takes: 8 bytes for the prefix, 32 for the secret."""

_PREFIX_BYTES = 8
_NOBODYS_HMAC = bytes(32)
_KEY = re.compile(r"mk_([a-z2-7]{13})_([A-Za-z0-9_-]{43})", re.ASCII)


class MintedKey(NamedTuple):
    text: str
    """What the caller is shown, once."""
    prefix: str
    secret: str


class ParsedKey(NamedTuple):
    prefix: str
    secret: str


def mint(randomness: bytes) -> MintedKey:
    """A new key from RANDOM_BYTES random bytes."""
    if len(randomness) < RANDOM_BYTES:
        raise ValueError(f"minting a key takes {RANDOM_BYTES} random bytes")
    prefix = base64.b32encode(randomness[:_PREFIX_BYTES]).decode().rstrip("=").lower()
    secret = base64.urlsafe_b64encode(randomness[_PREFIX_BYTES:RANDOM_BYTES]).decode().rstrip("=")
    return MintedKey(f"mk_{prefix}_{secret}", prefix, secret)


def parse(text: str) -> ParsedKey | None:
    """The parts of a well-formed key, None for anything else."""
    found = _KEY.fullmatch(text)
    return ParsedKey(found[1], found[2]) if found else None


def secret_hmac(pepper: str, secret: str) -> bytes:
    """What is stored of a key: HMAC-SHA256 of the secret under the pepper. An empty pepper is refused."""
    if not pepper:
        raise ValueError("api_key_pepper is empty: set MOCKUPAWS_API_KEY_PEPPER")
    return hmac.digest(pepper.encode(), secret.encode(), hashlib.sha256)


def matches(pepper: str, secret: str, stored_hmac: bytes | None) -> bool:
    """Whether the secret is the stored one, in constant time; None (no such key) takes the same work."""
    same = hmac.compare_digest(secret_hmac(pepper, secret), _NOBODYS_HMAC if stored_hmac is None else stored_hmac)
    return same and stored_hmac is not None
