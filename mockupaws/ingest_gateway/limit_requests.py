"""Whether a tenant's limits let a request in: asked before its body is read, weighed once it is.

A request counts as one, and as one more for each `limit_request_entries` entries or `limit_request_bytes` bytes beyond
the first: ten thousand lines aren't "one request". What was announced (Content-Length) is asked for; what turns out
beyond that is charged afterwards, and fits into what is left later.
"""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple, Self
from uuid import UUID

from mockupaws.ingest_gateway.authenticate import Principal
from mockupaws.ingest_gateway.errors import RefusedError
from mockupaws.runtime.limits.limiter import Demand, Limiter
from mockupaws.runtime.limits.plan_feed import TenantPlans, TokensToday
from mockupaws.runtime.limits.plans import limit_of
from mockupaws.runtime.limits.verdict import UNLIMITED, Verdict
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import LIMIT_REFUSALS
from mockupaws.schemas.limits import Limit, TenantPlan

MAX_TENANTS = 10_000
"""Whose limits are remembered; beyond, those remembered longest are worked out anew."""

_CODE = {"ingest_requests": "rate_limited", "ingest_bytes": "quota_exhausted", "ingest_tokens": "quota_exhausted"}


class Admission:
    """One admitted request. Where its `with` ends in an error, its bytes are given back; that it came counts."""

    def __init__(
        self,
        limiter: Limiter,
        settings: Settings,
        subject: str,
        verdict: Verdict,
        requests: tuple[Limit, int] | None,
        size: tuple[Limit, int] | None,
    ) -> None:
        self.verdict = verdict
        self._limiter = limiter
        self._settings = settings
        self._subject = subject
        self._requests = requests
        self._size = size

    def weigh(self, entries: int, size: int) -> None:
        """What the request turned out to be."""
        if self._requests is not None:
            limit, asked = self._requests
            self._requests = limit, max(asked, weight_of(entries, size, self._settings))
            self._limiter.charge(self._subject, limit, self._requests[1] - asked)
        if self._size is not None:
            limit, asked = self._size
            self._size = limit, size
            self._limiter.charge(self._subject, limit, size - asked)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self._size is not None:
            self._limiter.charge(self._subject, self._size[0], -self._size[1])


class _Limits(NamedTuple):
    """What a plan comes to: worked out once for each state of it."""

    plan: TenantPlan | None
    requests: Limit | None
    size: Limit | None
    tokens: Limit | None


class RequestLimits:
    def __init__(self, settings: Settings, limiter: Limiter, plans: TenantPlans, tokens: TokensToday) -> None:
        self._settings = settings
        self._limiter = limiter
        self._plans = plans
        self._tokens = tokens
        self._limits: dict[bytes, _Limits] = {}

    async def admit(self, principal: Principal, announced: int | None) -> Admission:
        """`announced`: bytes of the body, as far as its sender says. Raises RefusedError (429)."""
        limits, settings = self._limits_of(principal), self._settings
        self._check_tokens(principal.tenant_id, limits.tokens)
        announced_bytes = announced or 1
        asked_requests = (limits.requests, weight_of(1, announced_bytes, settings)) if limits.requests else None
        asked_bytes = (limits.size, announced_bytes) if limits.size else None
        demands: list[Demand] = [demand for demand in (asked_requests, asked_bytes) if demand is not None]
        subject = principal.tenant_text
        verdict = await self._limiter.admit(subject, demands) if demands else UNLIMITED
        if not verdict.admitted:
            raise _refused(verdict)
        return Admission(self._limiter, settings, subject, verdict, asked_requests, asked_bytes)

    def _limits_of(self, principal: Principal) -> _Limits:
        plan, settings = self._plans.find(principal.tenant_id), self._settings
        limits = self._limits.get(principal.tenant_bytes)
        if limits is None or limits.plan is not plan:
            limits = self._limits[principal.tenant_bytes] = _Limits(
                plan,
                limit_of(plan, "ingest_requests", settings),
                limit_of(plan, "ingest_bytes", settings),
                limit_of(plan, "ingest_tokens", settings),
            )
            if len(self._limits) > MAX_TENANTS:
                del self._limits[next(iter(self._limits))]
        return limits

    def _check_tokens(self, tenant_id: UUID, limit: Limit | None) -> None:
        if limit is None:
            return
        used, resets_in = self._tokens.used(tenant_id)
        if used >= limit.maximum:
            LIMIT_REFUSALS.labels(limit.name).inc()
            raise _refused(Verdict(False, limit, 0, resets_in, resets_in))


def weight_of(entries: int, size: int, settings: Settings) -> int:
    """As how many requests one of so many entries and bytes counts."""
    by_entries = -(-entries // max(1, settings.limit_request_entries))
    by_bytes = -(-size // max(1, settings.limit_request_bytes))
    return max(1, by_entries, by_bytes)


def _refused(verdict: Verdict) -> RefusedError:
    assert verdict.limit is not None
    return RefusedError(
        _CODE[verdict.limit.name], verdict.reason, retry_after=verdict.retry_after, headers=verdict.headers
    )
