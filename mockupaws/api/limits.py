"""Why was I limited: what each limit of a tenant is, how much of it is used, and when a quota will be used up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from starlette.responses import Response

from mockupaws.api.errors import RefusedError
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer
from mockupaws.runtime.limits.counters import Counted
from mockupaws.runtime.limits.plans import COUNTED_AS, SECONDS_OF, limit_of
from mockupaws.runtime.limits.window import seconds_until_fits
from mockupaws.runtime.postgres import is_retriable
from mockupaws.schemas.limits import UNIT_OF, Limit, LimitName, TenantPlan, Unit, seconds_until_used_up

SHOWN: tuple[LimitName, ...] = (
    "ingest_requests", "ingest_bytes", "ingest_tokens", "receipt_requests", "api_requests",
)  # fmt: skip
_LEAST_RATE_SECONDS = 60.0
"""Less time says too little of a rate."""


class LimitState(msgspec.Struct, frozen=True):
    name: LimitName
    unit: Unit
    window_seconds: int
    maximum: int | None
    """None: no limit."""
    set_by: str
    """`tier`, or `override` where the tenant has a number of its own."""
    used: int | None = None
    """None: not known now."""
    remaining: int | None = None
    resets_at: datetime | None = None
    """When the window ends; a minute slides, so that some is free again earlier."""
    next_in_seconds: int | None = None
    """After how many seconds one more unit would be admitted; 0: now."""
    refused_today: int | None = None
    last_refused_at: datetime | None = None
    per_second: float | None = None
    """Units a second in the last ten minutes or so, of a day's quota."""
    used_up_at: datetime | None = None
    """When a day's quota will be used up at this rate; None: not before it resets, or not known."""


class BacklogRefusals(msgspec.Struct, frozen=True):
    """Requests answered 429 `backlogged`: more came in than could soon be read, and the tenant was above its share."""

    requests: int
    """Since the first of them; forgotten a day after the last."""
    last_at: datetime
    delay_seconds: float
    """How long what was accepted then had to wait until it could be read."""
    share_bytes_per_second: float
    """What one gateway process accepted of a tenant then, at most."""


class Limits(msgspec.Struct, frozen=True):
    tier: str
    shared: bool
    """False: Redis has no answer; each process counts its part alone, and what is used isn't known."""
    at: datetime
    limits: list[LimitState]
    backlog: BacklogRefusals | None = None
    """None: nothing was refused because of the backlog, or Redis has no answer."""


async def get_limits(call: Call) -> Response:
    """Not limited itself: it says why everything else is."""
    services, tenant_id = call.services, call.tenant_id
    plan = services.plans.find(tenant_id)
    if plan is None:
        raise RefusedError("unavailable", "the tenant's limits haven't been read yet; try again shortly")
    limits = {name: limit for name in SHOWN if (limit := limit_of(plan, name, services.settings)) is not None}
    counted = [limit for name, limit in limits.items() if name != "ingest_tokens"]
    seen = await services.limiter.look(str(tenant_id), counted)
    now = datetime.fromtimestamp(services.clock.now_us() / 1e6, UTC)
    states = {
        limit.name: _counted_state(limit, plan, state, now) for limit, state in zip(counted, seen or [], strict=False)
    }
    if (tokens := limits.get("ingest_tokens")) is not None:
        states[tokens.name] = await _token_state(call, tokens, plan, now)
    shown = [states.get(name) or _unknown_state(name, plan, limits.get(name)) for name in SHOWN]
    shared = seen is not None or not counted
    return answer(Limits(plan.tier, shared, now, shown, await _backlog_refusals(call)))


async def _backlog_refusals(call: Call) -> BacklogRefusals | None:
    refused = await call.services.backlog.refusals(call.tenant_id)
    if refused is None:
        return None
    last_at = datetime.fromtimestamp(refused.last_at_us / 1e6, UTC)
    return BacklogRefusals(refused.requests, last_at, refused.delay_seconds, refused.share_bytes_per_second)


def _counted_state(limit: Limit, plan: TenantPlan, seen: Counted, now: datetime) -> LimitState:
    used = max(0, limit.maximum - seen.room)
    resets_in = limit.seconds - seen.elapsed
    wait = seconds_until_fits(seen.count, seen.previous, seen.elapsed, limit.seconds, limit.slides, 1, limit.maximum)
    rate = None
    if not limit.slides and seen.recent_seconds >= _LEAST_RATE_SECONDS:
        rate = seen.recent_units / seen.recent_seconds
    return LimitState(
        limit.name,
        limit.unit,
        limit.seconds,
        limit.maximum,
        _set_by(plan, limit.name),
        used,
        max(0, limit.maximum - used),
        now + timedelta(seconds=resets_in),
        -int(-wait // 1),
        seen.refused_today,
        datetime.fromtimestamp(seen.refused_at, UTC) if seen.refused_at else None,
        rate,
        _used_up_at(limit, used, rate, resets_in, now),
    )


async def _token_state(call: Call, limit: Limit, plan: TenantPlan, now: datetime) -> LimitState:
    try:
        async with call.services.databases.read(call.tenant_id) as reading:
            row = await reading.connection.fetchrow(SQL["tokens_today"])
    except Exception as error:
        if not isinstance(error, RefusedError) and not is_retriable(error):
            raise
        return _unknown_state(limit.name, plan, limit)
    assert row is not None
    used, rate, resets_in = row["tokens"], row["recent"] / row["recent_seconds"], row["resets_in"]
    return LimitState(
        limit.name,
        limit.unit,
        limit.seconds,
        limit.maximum,
        _set_by(plan, limit.name),
        used,
        max(0, limit.maximum - used),
        now + timedelta(seconds=resets_in),
        0 if used < limit.maximum else -int(-resets_in // 1),
        per_second=rate,
        used_up_at=_used_up_at(limit, used, rate, resets_in, now),
    )


def _unknown_state(name: LimitName, plan: TenantPlan, limit: Limit | None) -> LimitState:
    return LimitState(name, UNIT_OF[name], SECONDS_OF[name], limit.maximum if limit else None, _set_by(plan, name))


def _set_by(plan: TenantPlan, name: LimitName) -> str:
    return "override" if COUNTED_AS.get(name, name) in plan.overrides else "tier"


def _used_up_at(limit: Limit, used: int, rate: float | None, resets_in: float, now: datetime) -> datetime | None:
    if limit.slides or rate is None:
        return None
    seconds = seconds_until_used_up(used, limit.maximum, rate, resets_in)
    return None if seconds is None else now + timedelta(seconds=seconds)
