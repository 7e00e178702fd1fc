"""The key of a tenant: 32 random bytes, kept wrapped under the installation's secret, from which all marks are made.

Hashes are HMAC-SHA256, cut to 64 bits. Encryption is AES-256-SIV (RFC 5297): it needs no nonce, so one line gives one
text however often it is analysed, and equal values give equal marks, which can be searched for. Pure.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from functools import lru_cache
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from mockupaws.runtime.errors import PermanentError
from mockupaws.stream_processors.policies.normalise import normalise

KEY_BYTES = 32
FIRST_KEY = 1
"""Number of a tenant's first key; each encrypted mark names the key it was made under."""
LAST_KEY = 255
"""The number is one byte of the mark."""
SECRET_CHARACTERS = 32
_HASH_HEX_DIGITS = 16


class KeyRefusedError(PermanentError):
    """A key can't be unwrapped: it was wrapped under another secret, or for another tenant."""


class TenantKey:
    """One tenant's key, in the clear: in memory only."""

    def __init__(self, number: int, key: bytes) -> None:
        self.number = number
        self._hash_key = _derive(key, b"hash")
        self._cipher = AESSIV(_derive(key, b"encrypt 1") + _derive(key, b"encrypt 2"))

    def digest(self, pii_type: str, value: str) -> str:
        """16 hex digits, equal for values of one type that are equal once normalised."""
        message = f"{pii_type}\0{normalise(pii_type, value)}".encode()
        return hmac.digest(self._hash_key, message, "sha256").hex()[:_HASH_HEX_DIGITS]

    def allow_digest(self, pii_type: str, value: str) -> str:
        """What is stored of an allowed value: 64 hex digits that equal no mark."""
        message = f"allow\0{pii_type}\0{normalise(pii_type, value)}".encode()
        return hmac.digest(self._hash_key, message, "sha256").hex()

    def encrypt(self, pii_type: str, value: bytes) -> str:
        """A token for a mark of this type, holding the value (not empty) as it was written."""
        sealed = self._cipher.encrypt(value, [pii_type.encode()])
        return base64.urlsafe_b64encode(bytes([self.number]) + sealed).decode().rstrip("=")

    def decrypt(self, pii_type: str, token: str) -> str | None:
        """None where the token is not of this key and type."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            if raw[:1] != bytes([self.number]):
                return None
            return self._cipher.decrypt(raw[1:], [pii_type.encode()]).decode()
        except (binascii.Error, ValueError, InvalidTag):
            return None


def wrap_key(secret: str, tenant_id: UUID, number: int, key: bytes) -> bytes:
    """What may be stored of a key of KEY_BYTES random bytes. Raises KeyRefusedError where the secret is too short."""
    return _wrapping(secret).encrypt(key, _place(tenant_id, number))


@lru_cache(4096)
def unwrap_key(secret: str, tenant_id: UUID, number: int, wrapped: bytes) -> TenantKey:
    """Raises KeyRefusedError where it was not wrapped under this secret for this tenant."""
    try:
        return TenantKey(number, _wrapping(secret).decrypt(wrapped, _place(tenant_id, number)))
    except (InvalidTag, ValueError):
        raise KeyRefusedError(
            "a tenant's key was wrapped under another secret: restore MOCKUPAWS_TENANT_KEY_SECRET"
        ) from None


def _wrapping(secret: str) -> AESSIV:
    if len(secret) < SECRET_CHARACTERS:
        raise KeyRefusedError(
            f"tenants' keys need a secret: set MOCKUPAWS_TENANT_KEY_SECRET ({SECRET_CHARACTERS} random characters)"
        )
    return AESSIV(_derive(secret.encode(), b"wrap 1") + _derive(secret.encode(), b"wrap 2"))


def _place(tenant_id: UUID, number: int) -> list[bytes]:
    return [b"tenant key", tenant_id.bytes, bytes([number])]


def _derive(key: bytes, purpose: bytes) -> bytes:
    """HKDF-Expand (RFC 5869) of one block; what goes in is random, and needs no extraction."""
    return hmac.digest(key, b"mockupaws tenant key: " + purpose + b"\x01", "sha256")
