"""The ASGI application: routes of the table, and around them the edge (runtime/http_edge.py) and metrics."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mockupaws import __version__
from mockupaws.api.answer_cache import AnswerCache
from mockupaws.api.authenticate import CACHE_SECONDS, Authenticator
from mockupaws.api.databases import Databases
from mockupaws.api.errors import ERRORS
from mockupaws.api.hints import ReceiptHints
from mockupaws.api.openapi import openapi_document
from mockupaws.api.routes import ROUTES
from mockupaws.api.routing import ApiRoute, Call, Services, answer, endpoint, refusal
from mockupaws.api.sign_in import SignIn
from mockupaws.runtime.backlog_notes import BacklogNotes
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.http_edge import HttpEdge
from mockupaws.runtime.limits.limiter import Limiter
from mockupaws.runtime.limits.plan_feed import PlanFeed
from mockupaws.runtime.redis_client import open_redis, redis_circuit
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import API_REQUESTS, API_SECONDS
from mockupaws.runtime.worker_metrics import WorkerMetrics


async def build_app(settings: Settings) -> Starlette:
    """Opens its pools lazily: it starts, and says it isn't ready, while the database is down."""
    databases = await Databases.open(settings)
    clock = SystemClock()
    redis, circuit = open_redis(settings), redis_circuit()
    hints = ReceiptHints(redis, circuit, settings.redis_timeout_seconds)
    limiter = Limiter(settings, redis, circuit, clock, settings.api_workers)
    notes = BacklogNotes(settings, redis, circuit)
    plans = PlanFeed(databases.primary, settings.postgres_timeout_seconds)
    authenticator = Authenticator(settings, databases.primary, clock)
    sign_in = SignIn(settings, databases, authenticator, limiter, clock)
    answers = AnswerCache(redis, circuit, settings.redis_timeout_seconds)
    services = Services(settings, databases, authenticator, sign_in, hints, clock, limiter, plans.plans, answers, notes)
    edge = Middleware(HttpEdge, settings, settings.api_host, clock)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        watches = [authenticator.watch_revocations(), authenticator.key_uses.run(), plans.run(CACHE_SECONDS)]
        if settings.postgres_replica_urls:
            watches.append(databases.watch())
        tasks = [asyncio.create_task(watch) for watch in watches]
        for task in tasks:
            task.add_done_callback(_exit_on_failure)
        async with WorkerMetrics().told() as metrics:
            app.state.metrics = metrics
            yield
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        with suppress(Exception):  # only times of use are lost
            await authenticator.key_uses.write()
        await hints.close()
        await databases.close()

    routes = [Route(route.path, endpoint(route, services), methods=[route.method]) for route in all_routes()]
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[edge, Middleware(_Counted)],
        exception_handlers={HTTPException: _refuse_by_router},
    )
    app.router.redirect_slashes = False  # its redirects repeat the Host header
    app.state.services = services
    return app


def all_routes() -> tuple[ApiRoute, ...]:
    """The table and the description of it."""

    async def openapi(call: Call) -> Response:
        return answer(document)

    described = (*ROUTES, ApiRoute("GET", "/api/v1/openapi.json", openapi, "This description"))
    document = openapi_document(described, __version__)
    return described


def _exit_on_failure(task: asyncio.Task[None]) -> None:
    # Without what it watches the process would take revoked credentials; the supervisor starts a fresh one.
    if not task.cancelled() and task.exception() is not None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": "a background task of the API failed", "exception": task.exception()}
        )
        os._exit(70)


async def _refuse_by_router(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = "method_not_allowed" if error.status_code == 405 else "not_found"
    answered = refusal(
        ERRORS[code],
        "there is no such path" if code == "not_found" else "the path has no such method",
        request.state.request_id,
    )
    answered.headers.update(error.headers or {})
    return answered


class _Counted:
    """Counts answers and their time by route template."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = scope.get("route")
                template = route.path if isinstance(route, Route) else "unknown"
                API_REQUESTS.labels(template, str(message["status"])).inc()
                API_SECONDS.labels(template).observe(time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, send_counted)
