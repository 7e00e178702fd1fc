"""Circuit breaker: something that keeps failing isn't asked for a while, so that nobody waits for its timeouts.

closed ──(5 failures in a row)──▶ open ──(60 s)──▶ half-open ──(3 calls succeed)──▶ closed
                                   ▲                  └──(one fails)──▶ open
`BreakerState` is the pure state machine, on a clock it is given; `CircuitBreaker` puts it around calls.
For calls that have something to fall back to: whoever can only try again backs off instead (the sinks do).
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, TypeVar

from mockupaws.runtime.errors import RetriableError
from mockupaws.runtime.telemetry import CIRCUIT_REJECTIONS, CIRCUIT_STATE, get_logger

Target = Literal["redis", "s3", "price_source", "notifications"]
State = Literal["closed", "half_open", "open"]

P = ParamSpec("P")
T = TypeVar("T")
_LEVEL: dict[State, int] = {"closed": 0, "half_open": 1, "open": 2}
_log = get_logger(__name__)


class CircuitOpenError(RetriableError):
    """The call wasn't made: the target has been failing, and is tried again later."""


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    failure_threshold: int = 5
    """Failures in a row that open it."""
    recovery_seconds: float = 60.0
    """How long it stays open before calls are tried."""
    half_open_calls: int = 3
    """Calls that are tried then, and must all succeed."""


@dataclass(frozen=True, slots=True)
class Permit:
    """That one call may be made. A result that comes after the state has changed says nothing of the new one."""

    era: int


class BreakerState:
    """Times are seconds of any clock that doesn't go back."""

    def __init__(self, limits: BreakerLimits) -> None:
        self._limits = limits
        self._state: State = "closed"
        self._era = 0
        self._failures = 0
        self._opened_at = 0.0
        self._tried = 0
        self._succeeded = 0

    @property
    def state(self) -> State:
        return self._state

    def permit(self, now: float) -> Permit | None:
        """None: the call isn't to be made. Every permit is answered by one of the three methods below."""
        if self._state == "open" and now - self._opened_at >= self._limits.recovery_seconds:
            self._enter("half_open")
        if self._state == "open":
            return None
        if self._state == "half_open":
            if self._tried >= self._limits.half_open_calls:
                return None
            self._tried += 1
        return Permit(self._era)

    def succeeded(self, permit: Permit) -> None:
        if permit.era != self._era:
            return
        self._failures = 0
        if self._state == "half_open":
            self._succeeded += 1
            if self._succeeded >= self._limits.half_open_calls:
                self._enter("closed")

    def failed(self, permit: Permit, now: float) -> None:
        if permit.era != self._era:
            return
        self._failures += 1
        if self._state == "half_open" or self._failures >= self._limits.failure_threshold:
            self._opened_at = now
            self._enter("open")

    def gave_up(self, permit: Permit) -> None:
        """The caller didn't wait for the end, or it ended in a way that says nothing of the target."""
        if permit.era == self._era and self._state == "half_open":
            self._tried -= 1

    def _enter(self, state: State) -> None:
        self._state = state
        self._era += 1
        self._failures = self._tried = self._succeeded = 0


class CircuitBreaker:
    """May be shared by threads and tasks."""

    def __init__(
        self,
        target: Target,
        is_failure: Callable[[BaseException], bool],
        limits: BreakerLimits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self._is_failure = is_failure
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._machine = BreakerState(limits or BreakerLimits())
        CIRCUIT_STATE.labels(target).set(0)

    @property
    def closed(self) -> bool:
        return self._machine.state == "closed"

    def guard(self, function: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        """The function, which raises CircuitOpenError instead of being called while the circuit is open."""

        @functools.wraps(function)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            permit = self._step(lambda: self._machine.permit(self._monotonic()))
            if permit is None:
                CIRCUIT_REJECTIONS.labels(self._target).inc()
                raise CircuitOpenError(f"{self._target} has been failing and isn't asked for now")
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                if self._is_failure(error):
                    self._step(lambda: self._machine.failed(permit, self._monotonic()))
                else:
                    self._step(lambda: self._machine.gave_up(permit))
                raise
            self._step(lambda: self._machine.succeeded(permit))
            return result

        return guarded

    def _step(self, step: Callable[[], T]) -> T:
        with self._lock:
            before = self._machine.state
            result = step()
            after = self._machine.state
        if after != before:
            CIRCUIT_STATE.labels(self._target).set(_LEVEL[after])
            _log.warning("circuit_changed", target=self._target, before=before, after=after)
        return result
