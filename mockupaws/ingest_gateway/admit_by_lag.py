"""Lets in as much as can soon be read: looks each second how far Postgres is, and refuses who is above its share (429).

The signal is what Postgres says is stored of `ingest.requests`, beside the acks this process got itself: no other
machine's clock plays a part. Where Postgres or the brokers don't tell, nothing is limited. `lag_control.py` decides how
much is let in, `fair_share.py` of whom.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self
from uuid import UUID

from mockupaws.ingest_gateway.backlog import Backlog
from mockupaws.ingest_gateway.errors import RefusedError
from mockupaws.ingest_gateway.fair_share import FairShares
from mockupaws.ingest_gateway.lag_control import STATES, Decision, LagControl, Tick
from mockupaws.runtime.backlog_notes import BacklogNotes
from mockupaws.runtime.clock import Clock
from mockupaws.runtime.errors import PipelineError
from mockupaws.runtime.kafka import topic_ids, topic_name
from mockupaws.runtime.postgres import is_retriable, load_queries
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import (
    ADMISSION_DELAY_SECONDS,
    ADMISSION_RATE_BYTES,
    ADMISSION_REFUSALS,
    ADMISSION_RETENTION_RATIO,
    ADMISSION_STATE,
    get_logger,
)
from mockupaws.schemas.topics import REQUESTS

if TYPE_CHECKING:
    from mockupaws.runtime.postgres import Pool

LOOK_SECONDS = 1.0
ASK_SECONDS = 2.0
"""Limit of asking Postgres how far it is."""
TOPIC_SECONDS = 30.0
"""How often it is looked whether the topic is still the same one."""
RETENTION_LOOK_SECONDS = 10.0

_QUERIES = load_queries("mockupaws.ingest_gateway", "queries.sql")
_log = get_logger(__name__)


class LagShare:
    """One request's part in what is let in. Where its `with` ends without `weigh`, nothing of it was sent on."""

    def __init__(self, shares: FairShares, tenant_id: bytes, announced: int | None) -> None:
        self._shares = shares
        self._tenant_id = tenant_id
        self._announced = announced
        self._expected = shares.ask(tenant_id, announced)
        self._size = 0
        self.admitted = shares.admits(tenant_id)
        if self.admitted:
            shares.admit(tenant_id, self._expected)

    def weigh(self, size: int) -> None:
        """So many bytes of it are sent on."""
        self._size = size

    def refuse(self) -> int:
        """Seconds after which the tenant may come again."""
        return self._shares.refuse(self._tenant_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.admitted:
            self._shares.weigh(self._tenant_id, self._announced, self._expected, self._size)


class LagAdmission:
    """One per process; `run` looks, `ask` may be called from any request."""

    def __init__(self, settings: Settings, pool: Pool, notes: BacklogNotes, backlog: Backlog, clock: Clock) -> None:
        self._settings = settings
        self._pool = pool
        self._notes = notes
        self._backlog = backlog
        self._clock = clock
        self._control = LagControl(settings.admission_lag_seconds, settings.admission_retention_ratio)
        self._shares = FairShares()
        self._topic_id: UUID | None = None
        self._topic_at = self._retention_at = float("-inf")
        self._retention_used = 0.0
        now = time.monotonic()
        self._heard_at = self._looked_at = now
        self.decision = Decision("open", None, 0.0)

    def ask(self, tenant_id: bytes, announced: int | None) -> LagShare:
        """`announced`: bytes of the body, as far as its sender says; None: it doesn't."""
        return LagShare(self._shares, tenant_id, announced)

    def refusal(self, share: LagShare) -> RefusedError:
        """Of a request that wasn't admitted."""
        retry_after = share.refuse()
        decision = self.decision
        if decision.state == "retention":
            ADMISSION_REFUSALS.labels("retention").inc()
            why = "what was accepted is about to expire before it is stored"
        else:
            ADMISSION_REFUSALS.labels("lag").inc()
            why = f"what is accepted now could be read in {decision.delay_seconds:.0f} s only"
        return RefusedError(
            "backlogged",
            f"{why}, and this tenant is above its share: come again in {retry_after} s; GET /api/v1/limits shows it",
            retry_after=retry_after,
        )

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Once: how far it is, and what is let in until the next look."""
        # Where nothing waits, nobody need be asked: an idle gateway leaves Postgres and the brokers alone.
        heads = await self._heads() if self._backlog.waits else {}
        if time.monotonic() - self._retention_at >= RETENTION_LOOK_SECONDS:
            self._retention_at = time.monotonic()
            used = await self._notes.retention_used()
            ADMISSION_RETENTION_RATIO.set(-1 if used is None else used)
            self._retention_used = used or 0.0
        now = time.monotonic()
        if heads is not None:
            self._heard_at = now
        served = self._backlog.note_stored(heads or {}, now)
        waiting, oldest = self._backlog.waiting(now)
        offered = self._shares.offered_bytes_per_second
        before, share = self.decision, self._shares.level
        self.decision = self._control.look(
            Tick(now, served, waiting, oldest, offered, self._heard_at, self._retention_used)
        )
        self._shares.tick(max(1e-3, now - self._looked_at), self.decision.rate)
        self._looked_at = now
        self._show(before)
        refused = self._shares.take_refused()
        await self._notes.tell_refusals(refused, self._clock.now_us(), before.delay_seconds, share or 0.0)

    async def _heads(self) -> Mapping[int, int] | None:
        """Next offset to be stored of each partition; None where nobody tells."""
        topic_id = await self._find_topic()
        if topic_id is None:
            return None
        try:
            async with asyncio.timeout(ASK_SECONDS):
                rows = await self._pool.fetch(_QUERIES["stored_offsets"], topic_id)
        except Exception as error:
            if not is_retriable(error):
                raise
            return None
        return {row["partition"]: row["next_offset"] for row in rows}

    async def _find_topic(self) -> UUID | None:
        if time.monotonic() - self._topic_at >= TOPIC_SECONDS or self._topic_id is None:
            self._topic_at = time.monotonic()
            try:
                found = (await topic_ids(self._settings)).get(topic_name(self._settings, REQUESTS))
            except PipelineError:
                return self._topic_id
            if self._topic_id is not None and found != self._topic_id:
                self._backlog.forget()
            self._topic_id = found
        return self._topic_id

    def _show(self, before: Decision) -> None:
        decision = self.decision
        for state in STATES:
            ADMISSION_STATE.labels(state).set(decision.state == state)
        ADMISSION_DELAY_SECONDS.set(decision.delay_seconds)
        ADMISSION_RATE_BYTES.set(-1 if decision.rate is None else decision.rate)
        if decision.state != before.state:
            _log.warning(
                "admission_changed",
                before=before.state,
                after=decision.state,
                delay_seconds=round(decision.delay_seconds, 1),
                bytes_per_second=None if decision.rate is None else round(decision.rate),
            )
