"""The gateway's ASGI application: routes, health, and the life of what the handlers use."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from mockupaws.ingest_gateway.accepted_requests import AcceptedRequests
from mockupaws.ingest_gateway.admit import BodyIntake
from mockupaws.ingest_gateway.admit_by_lag import LagAdmission
from mockupaws.ingest_gateway.answers import refuse
from mockupaws.ingest_gateway.authenticate import Authenticator
from mockupaws.ingest_gateway.backlog import Backlog
from mockupaws.ingest_gateway.errors import ERRORS
from mockupaws.ingest_gateway.handlers import Gateway, IngestEndpoint
from mockupaws.ingest_gateway.keyed_requests import KeyedRequests
from mockupaws.ingest_gateway.limit_requests import RequestLimits
from mockupaws.ingest_gateway.openapi import openapi_document
from mockupaws.ingest_gateway.publish import Publisher
from mockupaws.ingest_gateway.refresh_directory import RefreshedDirectory
from mockupaws.ingest_gateway.shed_load import MemoryGuard, memory_limit
from mockupaws.ingest_gateway.spool import Spool
from mockupaws.runtime.backlog_notes import BacklogNotes
from mockupaws.runtime.clock import Clock, SystemClock
from mockupaws.runtime.http_edge import HttpEdge, Receive, Scope, Send
from mockupaws.runtime.key_uses import KeyUses
from mockupaws.runtime.limits.limiter import Limiter
from mockupaws.runtime.limits.plan_feed import TokensToday
from mockupaws.runtime.postgres import open_pool
from mockupaws.runtime.redis_client import open_redis, redis_circuit
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import INGEST_IN_FLIGHT
from mockupaws.runtime.worker_metrics import CONTENT_TYPE, WorkerMetrics

INGEST_PATH = "/api/v1/ingest"
SNAPSHOT_FILE = "gateway-directory.snapshot"
DRAIN_SECONDS = 5.0
"""How long a stopping process waits for acks."""


class _Application(Starlette):
    """Starlette, but for the one path that every line takes: routing it costs more than the rest of a small request."""

    def __init__(self, settings: Settings, clock: Clock, **parts: Any) -> None:
        super().__init__(**parts)
        self._settings = settings
        self._clock = clock

    def build_middleware_stack(self) -> ASGIApp:
        ingest = IngestEndpoint()
        others = ExceptionMiddleware(self.router, handlers=self.exception_handlers)

        def dispatch(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            if scope["type"] == "http" and scope["path"] == INGEST_PATH and scope["method"] == "POST":
                return ingest(scope, receive, send)
            return others(scope, receive, send)

        return HttpEdge(dispatch, self._settings, self._settings.gateway_host, self._clock)


def create_app(
    settings: Settings, clock: Clock | None = None, on_start: Callable[[Gateway], None] | None = None
) -> Starlette:
    """The application; everything it uses starts and stops with its lifespan. `on_start` is called within the loop."""
    clock = clock or SystemClock()

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with _running(settings, clock) as gateway, WorkerMetrics().told() as metrics:
            app.state.gateway, app.state.metrics = gateway, metrics
            if on_start is not None:
                on_start(gateway)
            yield

    app = _Application(
        settings,
        clock,
        routes=[
            Route(INGEST_PATH, IngestEndpoint(), methods=["POST"]),
            Route("/health", _alive),
            Route("/health/ready", _ready),
            Route("/metrics", _metrics),
            Route("/api/v1/openapi.json", _openapi),
        ],
        lifespan=lifespan,
        exception_handlers={HTTPException: _refuse_http},
    )
    app.router.redirect_slashes = False  # its redirects repeat the Host header
    return app


@contextlib.asynccontextmanager
async def _running(settings: Settings, clock: Clock) -> AsyncIterator[Gateway]:
    async with contextlib.AsyncExitStack() as stack:
        pool = await open_pool(settings.postgres_api_url, settings, max_size=4, application_name="mockupaws-gateway")
        stack.callback(pool.terminate)
        directory = RefreshedDirectory(
            pool,
            settings.home / SNAPSHOT_FILE,
            settings.directory_refresh_seconds,
            settings.postgres_timeout_seconds,
            clock,
        )
        directory.load_snapshot()
        key_uses = KeyUses(pool, settings.postgres_timeout_seconds)
        memory = MemoryGuard(memory_limit(settings.gateway_max_memory_bytes, settings.gateway_workers))
        backlog = Backlog()
        publisher = Publisher(settings, backlog)
        spool = Spool(settings.home, settings.spool_max_bytes, clock, publisher)
        stack.push_async_callback(spool.close)
        redis, circuit = open_redis(settings), redis_circuit()
        accepted_requests = AcceptedRequests(redis, circuit, settings.redis_timeout_seconds)
        stack.push_async_callback(accepted_requests.close)
        tokens = TokensToday(pool, settings.postgres_timeout_seconds)
        limiter = Limiter(settings, redis, circuit, clock, settings.gateway_workers)
        notes = BacklogNotes(settings, redis, circuit)
        lag = LagAdmission(settings, pool, notes, backlog, clock)
        gateway = Gateway(
            settings,
            clock,
            directory,
            Authenticator(directory.find_key, directory.look_again, directory.is_revoked, key_uses.note, settings),
            publisher,
            spool,
            accepted_requests,
            KeyedRequests(accepted_requests),
            BodyIntake(settings.publish_max_pending_bytes, settings.http_body_seconds, memory),
            RequestLimits(settings, limiter, directory.directory.plans, tokens),
            lag,
            pool,
        )
        INGEST_IN_FLIGHT.set_function(lambda: gateway.in_flight)
        works = (
            directory.run(), publisher.run(), spool.run(), memory.run(), key_uses.run(),
            tokens.run(settings.limit_refresh_seconds), lag.run(),
        )  # fmt: skip
        tasks = [asyncio.create_task(work) for work in works]
        for task in tasks:
            task.add_done_callback(_exit_on_failure)
        try:
            yield gateway
        finally:
            gateway.drain()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await publisher.stop(DRAIN_SECONDS)
            with contextlib.suppress(Exception):  # only times of use are lost
                await key_uses.write()


def _exit_on_failure(task: asyncio.Task[None]) -> None:
    # Without its directory or producer the process would answer from the past; the supervisor starts a fresh one.
    if not task.cancelled() and task.exception() is not None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": "a background task of the gateway failed", "exception": task.exception()}
        )
        os._exit(70)


async def _alive(_: Request) -> Response:
    return Response(b'{"alive":true}', media_type="application/json")


async def _ready(request: Request) -> Response:
    gateway: Gateway = request.app.state.gateway
    detail: dict[str, str] = {}
    if gateway.draining:
        detail["gateway"] = "draining"
    if not gateway.publisher.ready and not (gateway.publisher.tried and gateway.spool.takes):
        detail["kafka"] = "cut off"
        if gateway.settings.spool_max_bytes:
            detail["spool"] = "takes nothing: it is full, or its disk is, or can't be written; the log says which"
    ready = not detail
    if ready and not gateway.publisher.ready:
        detail["kafka"] = "cut off: requests go to the spool"
    if ready and gateway.spool.waiting:
        detail["spool"] = f"{gateway.spool.waiting} requests wait for the brokers"
    if gateway.accepted_requests.degraded:
        detail["redis"] = "down: this process remembers accepted requests, and counts its part of the limits, alone"
    admission = gateway.lag.decision
    if admission.rate is not None:
        detail["admission"] = f"{admission.state}: tenants above their share get 429; {admission.rate:,.0f} bytes/s"
    body = msgspec.json.encode({"ready": ready, "lag_seconds": None, "detail": detail})
    return Response(body, 200 if ready else 503, media_type="application/json")


async def _metrics(request: Request) -> Response:
    metrics: WorkerMetrics = request.app.state.metrics
    return Response(await metrics.text(), media_type=CONTENT_TYPE)


async def _openapi(_: Request) -> Response:
    return Response(openapi_document(), media_type="application/json")


def _refuse_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = ERRORS["method_not_allowed" if error.status_code == 405 else "not_found"]
    answer = refuse(kind, f"{kind.meaning}: see /api/v1/openapi.json", request.state.request_id)
    return Response(answer.body, answer.status, {**answer.headers, **(error.headers or {})}, "application/json")
