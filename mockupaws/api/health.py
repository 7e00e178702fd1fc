"""Whether the process lives, whether it can answer, and how each database server is."""

from __future__ import annotations

from starlette.responses import Response

from mockupaws.api.databases import ServerState
from mockupaws.api.routing import Call, answer
from mockupaws.runtime.worker_metrics import CONTENT_TYPE, WorkerMetrics


async def alive(call: Call) -> Response:
    return answer({"alive": True})


async def ready(call: Call) -> Response:
    """Ready while any database server answers: reads can be served."""
    states = await call.services.databases.states()
    able = any(state.reachable for state in states)
    return answer({"ready": able, "detail": _detail(states)}, 200 if able else 503)


async def databases(call: Call) -> Response:
    """503 where a server is down, or the primary is read-only."""
    states = await call.services.databases.states()
    well = all(state.reachable for state in states) and states[0].in_recovery is False
    return answer({"healthy": well, "servers": states}, 200 if well else 503)


async def prometheus(call: Call) -> Response:
    metrics: WorkerMetrics = call.request.app.state.metrics
    return Response(await metrics.text(), media_type=CONTENT_TYPE)


def _detail(states: list[ServerState]) -> dict[str, str]:
    return {state.name: "up" if state.reachable else "down" for state in states}
