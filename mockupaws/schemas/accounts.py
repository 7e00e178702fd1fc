"""Who may do what, and how an account is named. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Literal

Role = Literal["owner", "analyst", "producer", "operator"]
Scope = Literal["ingest", "read", "manage", "operate"]

SCOPES: tuple[Scope, ...] = ("ingest", "read", "manage", "operate")
"""
ingest   send log lines
read     scenarios, lines, metrics, bills, receipts, exports
manage   change scenarios, policies, users and keys; read the audit log
operate  dead letters, replays, restores
"""

SCOPES_OF_ROLE: Mapping[str, tuple[Scope, ...]] = {
    "owner": ("ingest", "read", "manage", "operate"),
    "analyst": ("read",),
    "producer": ("ingest",),
    "operator": ("read", "operate"),
}
"""The one table of what each role may do. Routes name scopes, never roles."""

MAX_EMAIL_CHARACTERS = 254


def beyond(wanted: Iterable[str], held: Iterable[str]) -> list[str]:
    """The scopes of `wanted` that `held` lacks: what somebody with `held` can't give away."""
    return sorted(set(wanted) - set(held))


def normalise_email(text: str) -> str | None:
    """The one spelling of an address: compatibility forms folded (NFKC), lower case. None where it can't be one.

    Letters that only look alike stay different, so they name different users.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text.strip()).casefold())
    name, at, domain = folded.rpartition("@")
    if not (name and at and domain) or len(folded) > MAX_EMAIL_CHARACTERS or folded != folded.lower():
        return None
    # No spaces, line ends, control or formatting characters (zero width, right-to-left), private or unassigned ones.
    if any(character == "@" or unicodedata.category(character)[0] in "ZC" for character in name + domain):
        return None
    return folded
