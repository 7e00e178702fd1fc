"""Valkey and the object store: neither decides what is durable."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from tests.adversity.faults.fault import Fault, Inject, Scene
from tests.adversity.faults.processes import frozen
from tests.adversity.faulty_flow import Faults
from tests.adversity.http_fault_proxy import HTTP_FAULTS, HttpFault

TIMES = 3
MET_SECONDS = 45.0
STALL_SECONDS = 5.0

MEANING: dict[HttpFault, str] = {
    "answer_429": "is answered 429",
    "answer_500": "is answered 500",
    "answer_503": "is answered 503 SlowDown",
    "reset_before": "meets a reset and isn't done",
    "reset_after": "is done, and the answer is a reset",
    "ok_with_error": "is answered 200 with an error in the body, and isn't done",
    "stall": "has no answer for some seconds",
}


async def killed_valkey(scene: Scene) -> None:
    with scene.stack.taken_down("valkey"):
        await asyncio.sleep(4)


async def flushed_valkey(scene: Scene) -> None:
    for _ in range(5):
        redis = Redis.from_url(scene.stack.settings.redis_url)
        await redis.flushall()
        await redis.aclose()
        await asyncio.sleep(0.5)


async def blackholed_valkey(scene: Scene) -> None:
    scene.stack.valkey.use(to_client=Faults(blackhole=True))
    await asyncio.sleep(6)


def s3_fails(method: str, fault: HttpFault) -> Inject:
    async def inject(scene: Scene) -> None:
        s3 = scene.stack.s3
        s3.fail(method, fault, TIMES)
        if fault == "stall":
            await scene.until(lambda: s3.armed < TIMES, f"a {method} meets {fault}", MET_SECONDS)
            await asyncio.sleep(STALL_SECONDS)
        else:
            await scene.until(lambda: s3.armed == 0, f"{TIMES} times {method} meet {fault}", MET_SECONDS)
        s3.heal()
        await scene.flow()

    return inject


CACHE_AND_ARCHIVE_FAULTS = [
    Fault(name="valkey killed", number="F34", what="SIGKILL, back after 4 s", inject=killed_valkey),
    Fault(name="valkey frozen", number="F34", what="SIGSTOP for 8 s", inject=frozen("valkey", 8)),
    Fault(name="valkey flushed", number="F35", what="FLUSHALL, five times", inject=flushed_valkey),
    Fault(name="valkey's replies lost", number="F34", what="for 6 s", inject=blackholed_valkey),
    *(
        Fault(
            name=f"S3 {method} {fault}",
            number="F37",
            what=f"three times, a {method} {MEANING[fault]}",
            inject=s3_fails(method, fault),
            short=(method, fault) == ("PUT", "reset_after"),
        )
        for method in ("PUT", "HEAD")
        for fault in HTTP_FAULTS
        if not (method == "HEAD" and fault in ("ok_with_error", "answer_500"))  # no body; the same as 503 without one
    ),
]
