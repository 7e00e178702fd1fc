from __future__ import annotations

from mockupaws.runtime.limits.counters import Counted
from mockupaws.runtime.limits.share import Share
from mockupaws.schemas.limits import Limit


def counted(count: int) -> Counted:
    return Counted(False, 0, 7, count, 0, b"epoch", 1.0, 1000 - count, 0, 0, 0, 0.0)


def test_a_redis_that_comes_and_goes_allows_no_part_twice() -> None:
    """What was given out alone, and Redis wasn't told yet, counts in the next outage."""
    share = Share(Limit("ingest_requests", 1000, 60))
    share.answered(share.ask(1, 0.0, trusting=True), counted(1), True, 0.0)
    share.window_alone(2, 1.0, 0.0)
    share.use_alone(400, 1.0)
    untold = share.ask(1, 2.0, trusting=False)
    assert (untold.settle, untold.lease) == (0, 0)
    share.answered(untold, counted(2), True, 2.0)
    assert share.window_alone(2, 3.0, 0.0).used(3.0) >= 400
    told = share.ask(1, 4.0, trusting=True)
    assert told.settle == 400
    assert share.ask(1, 4.0, trusting=True).settle == 0, "once, however many ask at the same time"
    share.answered(told, counted(403), True, 4.0)
    assert share.window_alone(2, 5.0, 0.0).used(5.0) <= 202
    assert share.ask(1, 6.0, trusting=True).settle == 0
