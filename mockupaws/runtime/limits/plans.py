"""Which limits a tenant has: its tier's numbers in the settings, unless it has its own. Pure."""

from __future__ import annotations

from mockupaws.runtime.settings import Settings
from mockupaws.schemas.limits import DAY_SECONDS, MINUTE_SECONDS, Limit, LimitName, TenantPlan

SECONDS_OF: dict[LimitName, int] = {
    "api_requests": MINUTE_SECONDS,
    "receipt_requests": MINUTE_SECONDS,
    "ingest_requests": MINUTE_SECONDS,
    "ingest_bytes": DAY_SECONDS,
    "ingest_tokens": DAY_SECONDS,
    "sign_ins": MINUTE_SECONDS,
}
COUNTED_AS: dict[LimitName, LimitName] = {"receipt_requests": "ingest_requests"}
"""Limits whose number is another's, though they are counted apart."""


def limit_of(plan: TenantPlan | None, name: LimitName, settings: Settings) -> Limit | None:
    """None: no limit. A tenant without a plan was made seconds ago, and isn't limited until the plan is read."""
    if plan is None:
        return None
    numbered = COUNTED_AS.get(name, name)
    maximum = plan.overrides.get(numbered)
    if maximum is None:
        maximum = 0 if plan.tier == "unlimited" else getattr(settings, f"limit_{plan.tier}_{numbered}")
    return Limit(name, maximum, SECONDS_OF[name]) if maximum > 0 else None


def sign_in_limit(settings: Settings) -> Limit | None:
    maximum = settings.limit_sign_ins
    return Limit("sign_ins", maximum, SECONDS_OF["sign_ins"]) if maximum > 0 else None
