from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockupaws.runtime.circuit_breaker import BreakerLimits, BreakerState, CircuitBreaker, CircuitOpenError, Permit

LIMITS = BreakerLimits(failure_threshold=5, recovery_seconds=60.0, half_open_calls=3)


def fail(machine: BreakerState, times: int, now: float = 0.0) -> None:
    for _ in range(times):
        permit = machine.permit(now)
        assert permit is not None
        machine.failed(permit, now)


def state_of(machine: BreakerState) -> str:
    return machine.state


def permitted(machine: BreakerState, now: float) -> Permit:
    permit = machine.permit(now)
    assert permit is not None
    return permit


def test_it_opens_at_the_fifth_failure_in_a_row() -> None:
    machine = BreakerState(LIMITS)
    fail(machine, 4)
    machine.succeeded(permitted(machine, 0.0))
    fail(machine, 4)
    assert state_of(machine) == "closed"
    fail(machine, 1)
    assert state_of(machine) == "open"
    assert machine.permit(59.9) is None


def test_after_a_minute_three_calls_are_tried_and_close_it() -> None:
    machine = BreakerState(LIMITS)
    fail(machine, 5)
    permits = [permitted(machine, 60.0) for _ in range(3)]
    assert state_of(machine) == "half_open"
    assert machine.permit(60.0) is None
    for permit in permits[:2]:
        machine.succeeded(permit)
    assert state_of(machine) == "half_open"
    machine.succeeded(permits[2])
    assert state_of(machine) == "closed"
    fail(machine, 4, 61.0)
    assert state_of(machine) == "closed"


def test_one_failure_while_trying_opens_it_for_another_minute() -> None:
    machine = BreakerState(LIMITS)
    fail(machine, 5)
    first, second = permitted(machine, 60.0), permitted(machine, 60.0)
    machine.failed(first, 70.0)
    machine.succeeded(second)  # of an era that is over
    assert state_of(machine) == "open"
    assert machine.permit(129.9) is None
    assert machine.permit(130.0) is not None


def test_a_call_that_was_given_up_makes_room_for_another() -> None:
    machine = BreakerState(LIMITS)
    fail(machine, 5)
    permits = [permitted(machine, 60.0) for _ in range(3)]
    machine.gave_up(permits[0])
    assert machine.permit(60.0) is not None
    assert machine.permit(60.0) is None


def test_failures_that_end_late_do_not_open_it_again() -> None:
    machine = BreakerState(LIMITS)
    slow = [permitted(machine, 0.0) for _ in range(10)]
    for permit in slow[:5]:
        machine.failed(permit, 30.0)
    for _ in range(3):
        machine.succeeded(permitted(machine, 90.0))
    assert state_of(machine) == "closed"
    for permit in slow[5:]:
        machine.failed(permit, 91.0)
    assert state_of(machine) == "closed"


@given(st.lists(st.tuples(st.sampled_from(["ok", "fail", "give up", "late"]), st.integers(0, 50)), max_size=200))
def test_whatever_happens_it_lets_calls_through_again(events: list[tuple[str, int]]) -> None:
    """In whole seconds: a sum of other floats and 60 may lie less than 60 above them."""
    machine = BreakerState(LIMITS)
    now, waiting = 0.0, []
    for event, passed in events:
        now += passed
        permit = machine.permit(now)
        if permit is None:
            assert state_of(machine) != "closed"
            continue
        match event:
            case "ok":
                machine.succeeded(permit)
            case "fail":
                machine.failed(permit, now)
            case "give up":
                machine.gave_up(permit)
            case _:
                waiting.append(permit)
    for permit in waiting:
        machine.gave_up(permit)
    now += LIMITS.recovery_seconds
    for _ in range(LIMITS.half_open_calls):
        machine.succeeded(permitted(machine, now))
    assert state_of(machine) == "closed"


async def test_around_a_call() -> None:
    now = [0.0]
    breaker = CircuitBreaker("price_source", lambda error: isinstance(error, OSError), LIMITS, lambda: now[0])
    asked = 0

    async def ask(answer: Exception | str) -> str:
        nonlocal asked
        asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    guarded = breaker.guard(ask)
    for _ in range(20):
        with pytest.raises(ValueError, match="ours"):  # a defect of ours says nothing of the target
            await guarded(ValueError("ours"))
    for _ in range(5):
        with pytest.raises(OSError, match="down"):
            await guarded(OSError("down"))
    assert not breaker.closed
    asked = 0
    with pytest.raises(CircuitOpenError, match="price_source"):
        await guarded("x")
    assert asked == 0
    now[0] = 60.0
    assert [await guarded("x") for _ in range(3)] == ["x"] * 3
    assert breaker.closed


async def test_a_cancelled_call_is_no_failure() -> None:
    breaker = CircuitBreaker("notifications", lambda error: isinstance(error, OSError), BreakerLimits(1, 60, 1))

    async def hang() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(breaker.guard(hang)())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert breaker.closed
