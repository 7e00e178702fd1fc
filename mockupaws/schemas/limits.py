"""What is limited, for whom, and how it is told: names, tiers, plans, and when a quota will be used up. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import msgspec

Tier = Literal["free", "premium", "enterprise", "unlimited"]
LimitName = Literal["api_requests", "receipt_requests", "ingest_requests", "ingest_bytes", "ingest_tokens", "sign_ins"]
"""
api_requests      calls of the API, a minute and tenant
receipt_requests  looks at receipts, a minute and tenant: as many as ingest requests
ingest_requests   requests to the gateway, a minute and tenant; a large one counts as several
ingest_bytes      bytes of their bodies after inflating, a UTC day and tenant
ingest_tokens     tokens of the stored lines, a UTC day and tenant; known after the fact
sign_ins          passwords tried, a minute, account and address
"""
Unit = Literal["requests", "bytes", "tokens", "attempts"]

TIERS: tuple[Tier, ...] = get_args(Tier)
OVERRIDABLE: tuple[LimitName, ...] = ("api_requests", "ingest_requests", "ingest_bytes", "ingest_tokens")
"""What a tenant can have a number of its own for."""
UNIT_OF: Mapping[LimitName, Unit] = {
    "api_requests": "requests",
    "receipt_requests": "requests",
    "ingest_requests": "requests",
    "ingest_bytes": "bytes",
    "ingest_tokens": "tokens",
    "sign_ins": "attempts",
}
MINUTE_SECONDS = 60
DAY_SECONDS = 86_400


class TenantPlan(msgspec.Struct, frozen=True, array_like=True):
    """What a tenant may use: its tier, and numbers of its own, where 0 means without limit."""

    tenant_id: bytes
    tier: str
    overrides: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `maximum` units in a window.

    Minutes slide: what the minute before used fades out, so that no boundary lets twice the limit through. Days are
    whole UTC days.
    """

    name: LimitName
    maximum: int
    seconds: int

    @property
    def slides(self) -> bool:
        return self.seconds < DAY_SECONDS

    @property
    def unit(self) -> Unit:
        return UNIT_OF[self.name]

    @property
    def period(self) -> str:
        return "minute" if self.seconds == MINUTE_SECONDS else "day"


def seconds_until_used_up(used: float, maximum: int, units_per_second: float, resets_in: float) -> float | None:
    """From now, at this rate; None where the window ends first, or nothing is used."""
    left = max(0.0, maximum - used)
    if left == 0:
        return 0.0
    if units_per_second <= 0 or left / units_per_second >= resets_in:
        return None
    return left / units_per_second
