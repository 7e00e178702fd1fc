"""Admission by lag against a simulated way: a queue that stores so many bytes a second, first come first served."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import pytest

from mockupaws.ingest_gateway.backlog import Backlog
from mockupaws.ingest_gateway.fair_share import FairShares
from mockupaws.ingest_gateway.lag_control import (
    RETENTION_CLOSED,
    SIGNAL_SECONDS,
    STALLED_SECONDS,
    Decision,
    LagControl,
    Tick,
)

LIMIT = 10.0
CAPACITY = 1_000_000.0
STEPS = 10
"""A second."""


class Gateway:
    """One process: the real core, over a simulated way."""

    def __init__(self) -> None:
        self.backlog, self.control, self.shares = Backlog(), LagControl(LIMIT, 0.9), FairShares()
        self.decision = Decision("open", None, 0.0)

    def look(self, now: float, head: int, heard_at: float, retention_used: float) -> None:
        served = self.backlog.note_stored({0: head}, now)
        offered = self.shares.offered_bytes_per_second
        waiting = self.backlog.waiting(now)
        self.decision = self.control.look(Tick(now, served, *waiting, offered, heard_at, retention_used))
        self.shares.tick(1.0, self.decision.rate)


class Plant:
    """Some gateways before one queue of records; an offset is a record."""

    def __init__(self, gateways: int = 1) -> None:
        self.gateways = [Gateway() for _ in range(gateways)]
        self.capacity = CAPACITY
        self.now = 0.0
        self.queue: list[tuple[float, float]] = []
        """(bytes, when it was let in) of each record, by offset."""
        self.head = 0
        self.head_left = 0.0
        self.chunk = 1
        """The head moves once so many records are stored: transactions."""
        self.chunked = 0
        self.tells = True
        self.heard_at = 0.0
        self.retention_used = 0.0
        self.sojourns: list[tuple[float, float]] = []
        """(when let in, how long until it was stored)."""
        self.answers: dict[bytes, list[tuple[float, bool]]] = defaultdict(list)

    def run(self, seconds: float, offered: Callable[[float], dict[bytes, float]], size: float = 25_000.0) -> None:
        """`offered`: bytes a second of each tenant at a time, in requests of `size`."""
        due: dict[bytes, float] = defaultdict(float)
        for step in range(int(seconds * STEPS)):
            self.now += 1 / STEPS
            for tenant, rate in offered(self.now).items():
                due[tenant] += rate / STEPS
                while due[tenant] >= size:
                    due[tenant] -= size
                    self._send(tenant, size, self.gateways[(step + int(due[tenant])) % len(self.gateways)])
            self._store(self.capacity / STEPS)
            if step % STEPS == 0:
                if self.tells:
                    self.heard_at = self.now
                for gateway in self.gateways:
                    gateway.look(self.now, self.chunked, self.heard_at, self.retention_used)

    def _send(self, tenant: bytes, size: float, gateway: Gateway) -> None:
        expected = gateway.shares.ask(tenant, int(size))
        admitted = gateway.shares.admits(tenant)
        self.answers[tenant].append((self.now, admitted))
        if not admitted:
            assert 1 <= gateway.shares.refuse(tenant) <= 30
            return
        gateway.shares.admit(tenant, expected)
        gateway.shares.weigh(tenant, int(size), expected, int(size))
        gateway.backlog.note_acknowledged(0, len(self.queue), int(size), self.now)
        self.queue.append((size, self.now))

    def _store(self, can: float) -> None:
        while can > 0 and self.head < len(self.queue):
            size, since = self.queue[self.head]
            take = min(can, size - self.head_left)
            can -= take
            self.head_left += take
            if self.head_left >= size:
                self.head, self.head_left = self.head + 1, 0.0
                self.sojourns.append((since, self.now - since))
        if self.head - self.chunked >= self.chunk or self.head == len(self.queue):
            self.chunked = self.head

    def state(self, gateway: int = 0) -> str:
        return self.gateways[gateway].decision.state

    def refused(self, tenant: bytes, since: float = 0.0, until: float = float("inf")) -> float:
        asked = [admitted for at, admitted in self.answers[tenant] if since <= at < until]
        return 1 - sum(asked) / len(asked)

    def worst_delay(self, since: float = 0.0, until: float = float("inf")) -> float:
        return max((delay for at, delay in self.sojourns if since <= at < until), default=0.0)


@pytest.mark.parametrize("gateways", [1, 3])
@pytest.mark.parametrize("chunk", [1, 60])
def test_at_three_times_the_capacity_what_is_let_in_stays_fresh_and_capacity_is_used(gateways: int, chunk: int) -> None:
    plant = Plant(gateways)
    plant.chunk = chunk
    plant.run(60, lambda _: {b"a": 0.8 * CAPACITY})
    assert plant.refused(b"a") == 0
    plant.run(300, lambda _: {b"a": 3 * CAPACITY})
    assert plant.worst_delay() <= 2.5 * LIMIT, "the rise, before the queue has become old"
    assert plant.worst_delay(since=120) <= LIMIT
    stored = sum(25_000 for at, delay in plant.sojourns if 120 <= at + delay < 360)
    assert stored >= 0.9 * 240 * CAPACITY, "nothing is refused in vain"


def test_after_the_overload_it_is_back_within_30_seconds() -> None:
    plant = Plant()
    plant.run(120, lambda _: {b"a": 3 * CAPACITY})
    plant.run(90, lambda _: {b"a": 0.8 * CAPACITY})
    assert plant.worst_delay(since=150) < 1.0
    assert plant.refused(b"a", since=150) == 0
    assert plant.state() == "open"


@pytest.mark.parametrize("gateways", [1, 2])
def test_a_small_tenant_beside_a_flooding_one_is_never_refused(gateways: int) -> None:
    plant = Plant(gateways)
    plant.run(
        240, lambda now: {b"flood": (5 if now > 30 else 0.3) * CAPACITY, b"small": 0.05 * CAPACITY, b"other": 30_000}
    )
    assert plant.refused(b"flood", since=60) > 0.5
    assert plant.refused(b"small") == 0
    assert plant.refused(b"other") == 0


def test_what_one_leaves_the_others_get() -> None:
    plant = Plant()
    plant.run(180, lambda _: {b"a": 3 * CAPACITY, b"b": CAPACITY, b"c": 0.1 * CAPACITY})
    let_in = {name: 1 - plant.refused(name, since=90) for name in (b"a", b"b", b"c")}
    assert let_in[b"c"] == 1
    assert 0.35 <= let_in[b"a"] * 3 <= 0.55
    assert 0.35 <= let_in[b"b"] <= 0.55


def test_bursts_on_an_idle_way_are_let_in() -> None:
    plant = Plant()
    plant.run(120, lambda now: {b"a": 4 * CAPACITY if now % 20 < 1 else 5_000.0})
    assert plant.refused(b"a") == 0


@pytest.mark.parametrize("pause", [3, 8, 14, 120])
def test_an_outage_behind_is_no_load_and_at_half_the_capacity_nobody_pays_for_it(pause: float) -> None:
    """A restart, a rebalance, a database away: Kafka holds what comes, and what comes is let in."""
    plant = Plant()
    usual = {b"a": 0.4 * CAPACITY}
    plant.run(60, lambda _: usual)
    plant.capacity = 0
    plant.run(pause, lambda _: usual)
    if pause > STALLED_SECONDS + 2:
        assert plant.state() == "stalled"
    plant.capacity = CAPACITY
    plant.run(2 * pause + 30, lambda _: usual)
    assert plant.refused(b"a") <= 0.02
    assert plant.state() == "open"


def test_where_the_signal_is_missing_nothing_is_limited_and_nothing_stops() -> None:
    plant = Plant()
    plant.run(60, lambda _: {b"a": 3 * CAPACITY})
    assert plant.state() == "limiting"
    plant.tells = False
    plant.run(SIGNAL_SECONDS + 2, lambda _: {b"a": 3 * CAPACITY})
    assert plant.state() == "signal_missing"
    since = plant.now
    plant.run(10, lambda _: {b"a": 3 * CAPACITY})
    assert plant.refused(b"a", since=since) == 0


def test_an_outage_during_an_overload_ends_the_limit() -> None:
    plant = Plant()
    plant.run(60, lambda _: {b"a": 3 * CAPACITY})
    plant.capacity = 0
    plant.run(STALLED_SECONDS + 3, lambda _: {b"a": 3 * CAPACITY})
    assert plant.state() == "stalled"


def test_a_gateway_that_starts_before_a_long_queue_does_not_stop() -> None:
    plant = Plant()
    plant.queue = [(25_000.0, 0.0)] * int(60 * CAPACITY / 25_000)
    plant.run(50, lambda _: {b"a": 0.4 * CAPACITY})
    assert plant.refused(b"a") == 0


def test_near_the_retention_less_is_let_in_and_at_last_nothing() -> None:
    plant = Plant()
    usual = {b"large": 0.5 * CAPACITY, b"small": 0.02 * CAPACITY}
    plant.capacity = 0
    plant.run(30, lambda _: usual)
    assert plant.refused(b"large") == 0
    plant.retention_used = 0.94
    plant.run(60, lambda _: usual)
    assert plant.state() == "retention"
    assert 0.3 < plant.refused(b"large", since=45) < 0.7
    assert plant.refused(b"small") == 0
    plant.retention_used = RETENTION_CLOSED
    plant.run(20, lambda _: usual)
    assert plant.refused(b"large", since=95) == plant.refused(b"small", since=95) == 1
    plant.retention_used = 0.5
    plant.run(5, lambda _: usual)
    assert plant.gateways[0].decision.rate is None


def test_both_limits_can_be_off() -> None:
    control = LagControl(0, 1.0)
    for second in range(100):
        tick = Tick(float(second), 1000, 10**9, float(second), 10**6, float(second), 0.999)
        assert control.look(tick).rate is None
