"""Too much of something: records over a limit, one tenant that sends everything, rows that Postgres refuses, memory."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import psutil

from mockupaws.schemas.topics import ANALYSED, REQUESTS
from tests.adversity.drilled_stack import GATEWAY_MEMORY_BYTES
from tests.adversity.faults.fault import Fault, Scene
from tests.adversity.faults.half_sent import send_slowly
from tests.adversity.faults.kafka import configure
from tests.adversity.oracle.observe import read_counters
from tests.adversity.oracle.read_stores import connect

SMALL_RECORD = 4_000
LIMITED_SECONDS = 5.0
NEAR_THE_LIMIT = 1_000_000
"""Bytes of a line; nine make a request just below 10 MiB."""
HOT_CLIENTS = 16
HOT_SECONDS = 6.0
HOT_LINES = 400
UPLOADS = 150
FINISHED = 10
"""Of these; the others go away with their last byte unsent."""
UPLOAD_SECONDS = 4.0
UPLOAD_LINES = 20
UPLOAD_PADDING = 100_000


async def records_over_the_limits(scene: Scene) -> None:
    """Lines over 1 MiB among others, a request over 10 MiB, and one just below."""
    load = scene.load
    for number in range(5):
        await load.send_copies(load.plan_keyed(5, oversized=number), range(1))
    refused = load.refusals["body_too_large"]
    await load.send_copies(load.plan_keyed(11, padding=NEAR_THE_LIMIT), range(1))
    accepted = load.accepted_of[0]
    await load.send_copies(load.plan_keyed(9, padding=NEAR_THE_LIMIT), range(1))
    wrong = []
    if load.refusals["body_too_large"] < refused + 1:
        wrong.append(f"a request over the limit was not refused: {dict(load.refusals)}")
    if load.accepted_of[0] <= accepted:
        wrong.append("a request just below the limit was not accepted")
    _expect_nothing(scene, wrong)


async def topics_take_less(scene: Scene) -> None:
    """Somebody lowers `max.message.bytes` of both topics, one after the other, below what is sent."""
    load, stack = scene.load, scene.stack
    accepted, wrong = load.accepted_requests, []
    await configure(scene, REQUESTS, max_message_bytes=SMALL_RECORD)
    try:
        await load.send_copies(load.plan_keyed(20, padding=SMALL_RECORD), range(3))
        await asyncio.sleep(LIMITED_SECONDS)
        if not load.refusals["body_too_large"]:
            wrong.append(f"a request too large for the brokers was not refused: {dict(load.refusals)}")
        if load.accepted_requests < accepted + 20:
            wrong.append("small requests were not accepted meanwhile")
    finally:
        await configure(scene, REQUESTS)
    load.pause()
    pid = stack.pid_of("processor")
    await configure(scene, ANALYSED, max_message_bytes=SMALL_RECORD)
    try:
        for lines in (3, 400, 2, 400, 1):  # few enough not to reach the limit of dead letters
            await load.send_copies(load.plan_keyed(lines), range(1))
        await scene.until_async(lambda: _letters(scene, "too_large", 2), "dead letters of what is too large")
    finally:
        await configure(scene, ANALYSED)
    if stack.pid_of("processor") != pid:
        wrong.append("the processor ended at an answer too large for the brokers")
    _expect_nothing(scene, wrong)
    load.resume()
    await scene.flow()


async def hot_tenant(scene: Scene) -> None:
    """One tenant sends all it can into one partition; the other one is served meanwhile."""
    load, partitions = scene.load, scene.stack.settings.kafka_partitions
    others = load.accepted_of[1]
    end = time.monotonic() + HOT_SECONDS

    async def send() -> None:
        while time.monotonic() < end:
            await load.send_copies(load.plan_in_partition(HOT_LINES, 0, partitions), range(1))

    await asyncio.gather(*(send() for _ in range(HOT_CLIENTS)))
    served = load.accepted_of[1] - others
    _expect_nothing(scene, [] if served >= 20 else [f"only {served} requests of the other tenant were accepted"])


async def refused_rows(scene: Scene) -> None:
    """Rows that Postgres refuses in the middle of a COPY: their requests are dead letters, all others are stored."""
    plans = [scene.load.plan_keyed(20) for _ in range(5)]
    heads = [f"drill={scene.load.run}.{plan.number}.7 " for plan in plans]
    refuses = " AND ".join(f"message_preview NOT LIKE '{head}%'" for head in heads)
    owner = await connect(scene.stack.settings.postgres_owner_url)
    try:
        await owner.execute(f"ALTER TABLE scenario_logs ADD CONSTRAINT drill_refuses CHECK ({refuses}) NOT VALID")
        for plan in plans:
            await scene.load.send_copies(plan, range(1))
        await scene.until_async(lambda: _letters(scene, "row_refused", len(plans)), "dead letters of refused rows")
    finally:
        await owner.execute("ALTER TABLE scenario_logs DROP CONSTRAINT IF EXISTS drill_refuses")
        await owner.close()
    await scene.flow()


async def big_uploads(scene: Scene) -> None:
    """More bytes at once, slowly, than the gateway may hold: it sheds, and stays below its limit."""
    pid = scene.stack.pid_of("gateway")
    port = scene.stack.settings.gateway_port
    shed_before = await asyncio.to_thread(_shed, scene)
    sends = [send_slowly(port, UPLOAD_SECONDS, finish=number < FINISHED) for number in range(UPLOADS)]
    uploads = asyncio.gather(*(scene.load.send_raw(UPLOAD_LINES, send, UPLOAD_PADDING) for send in sends))
    peak = 0
    while not uploads.done():
        peak = max(peak, _rss_bytes(pid))
        await asyncio.sleep(0.05)
    statuses = Counter(result.status for result in await uploads)
    wrong = [] if peak <= GATEWAY_MEMORY_BYTES else [f"the gateway held {peak / 1e6:.0f} MB"]
    # By its own count: to a client that still writes, the reset of the connection overtakes the answer.
    if await asyncio.to_thread(_shed, scene) <= shed_before:
        wrong.append(f"nothing was shed: {dict(statuses)}, at most {peak / 1e6:.0f} MB")
    if scene.stack.pid_of("gateway") != pid:
        wrong.append("the gateway ended")
    _expect_nothing(scene, wrong)
    await scene.flow()


def _shed(scene: Scene) -> float:
    """Requests the gateway answered 503 since its start."""
    counters = read_counters(scene.stack.installation, "gateway")
    return counters.get('mockupaws_ingest_requests_total{status="503"}', 0.0)


def _rss_bytes(pid: int | None) -> int:
    """Of the process that serves; its parent, the smaller one, only watches it."""
    try:
        tree = [psutil.Process(pid)]
        tree += tree[0].children(recursive=True)
        return max(int(process.memory_info().rss) for process in tree)
    except psutil.NoSuchProcess:
        return 0


def _expect_nothing(scene: Scene, wrong: list[str]) -> None:
    async def check() -> str:
        return "; ".join(wrong)

    scene.expect(check)


async def _letters(scene: Scene, reason: str, count: int) -> bool:
    connection = await connect(scene.stack.settings.postgres_owner_url)
    try:
        found: int = await connection.fetchval(
            "SELECT count(*) FROM dead_letters WHERE reason = $1 AND scenario_id = ANY($2)",
            reason,
            [producer.scenario_id for producer in scene.producers],
        )
    finally:
        await connection.close()
    return found >= count


LIMIT_FAULTS = [
    Fault(
        name="records over the limits",
        number="F11",
        what="lines over 1 MiB among others, requests over 10 MiB and just below",
        inject=records_over_the_limits,
    ),
    Fault(
        name="topics take less than is sent",
        number="F11",
        what=f"max.message.bytes lowered to {SMALL_RECORD}, of one topic after the other",
        inject=topics_take_less,
        recovery_seconds=90,
        short=True,
    ),
    Fault(
        name="hot tenant",
        number="F11",
        what=f"{HOT_CLIENTS} clients of one tenant send all they can into one partition for {HOT_SECONDS:.0f} s",
        inject=hot_tenant,
    ),
    Fault(
        name="rows refused in a COPY",
        number="F27",
        what="five rows break a constraint; NULs and half surrogates are in every load",
        inject=refused_rows,
    ),
    Fault(
        name="big slow uploads",
        number="F40",
        what=f"{UPLOADS} bodies of 2 MB in {UPLOAD_SECONDS:.0f} s to a gateway of {GATEWAY_MEMORY_BYTES / 1e6:.0f} MB",
        inject=big_uploads,
        mixed=False,
    ),
]
