"""Passwords: bcrypt at cost 12. Nothing is ever cut: what bcrypt can't take whole is refused. Pure, but slow."""

from __future__ import annotations

import unicodedata

import bcrypt

COST = 12
MIN_CHARACTERS = 12
MAX_BYTES = 72
"""bcrypt's own limit, in UTF-8."""

_NOBODYS_HASH = b"$2b$12$bhpYDvkQTHz7QdN26j0sSOe1.vmtQ.kRNI4aY46LjGJ3FXwSNcdUi"
"""Of a random password nobody kept, at the users' own cost: checking it takes as long as checking theirs."""


class PasswordError(ValueError):
    """The password can't be set; the message says why, and holds nothing of it."""


def hash_password(password: str) -> str:
    """What is stored of a password. Raises PasswordError."""
    material = _material(password)
    if len(password) < MIN_CHARACTERS:
        raise PasswordError(f"a password has at least {MIN_CHARACTERS} characters")
    if len(material) > MAX_BYTES:
        raise PasswordError(f"a password has at most {MAX_BYTES} bytes in UTF-8; this one has {len(material)}")
    if b"\0" in material:
        raise PasswordError("a password holds no NUL")
    return bcrypt.hashpw(material, bcrypt.gensalt(COST)).decode()


def check_password(password: str, stored: str | None) -> bool:
    """Whether it is the stored one's password; takes as long where nothing is stored, or it can't be anybody's."""
    material = _material(password)
    possible = stored is not None and 0 < len(material) <= MAX_BYTES
    try:
        same = bcrypt.checkpw(material[:MAX_BYTES], stored.encode() if stored is not None else _NOBODYS_HASH)
    except ValueError:  # what is stored is no bcrypt hash: nobody can sign in with it
        bcrypt.checkpw(material[:MAX_BYTES], _NOBODYS_HASH)
        same = False
    return possible and same


def _material(password: str) -> bytes:
    # The same password typed on another keyboard may come composed differently.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
