"""What a route is, and how a call of it is checked, authorised and answered: the same for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, get_args, get_type_hints
from uuid import UUID

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from mockupaws.api import audit
from mockupaws.api.answer_cache import AnswerCache
from mockupaws.api.authenticate import Authenticator, Principal
from mockupaws.api.databases import DATA_THROUGH, LAST_READING, READ_AFTER, WRITTEN, Databases
from mockupaws.api.errors import ERRORS, RefusedError
from mockupaws.api.hints import ReceiptHints
from mockupaws.api.look_budget import LookBudget
from mockupaws.api.search_blocks import EARLIEST, LATEST
from mockupaws.api.sign_in import SignIn
from mockupaws.runtime.audit import Origin
from mockupaws.runtime.backlog_notes import BacklogNotes
from mockupaws.runtime.clock import Clock
from mockupaws.runtime.errors import place_of
from mockupaws.runtime.limits.limiter import Limiter
from mockupaws.runtime.limits.plan_feed import TenantPlans
from mockupaws.runtime.limits.plans import limit_of
from mockupaws.runtime.postgres import is_connection_lost, is_retriable
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import get_logger
from mockupaws.schemas.accounts import Scope
from mockupaws.schemas.http.errors import ErrorKind, encode_error
from mockupaws.schemas.http.explain import explained
from mockupaws.schemas.limits import LimitName

MAX_BODY_BYTES = 64 * 1024
RETRY_AFTER_SECONDS = 1
_log = get_logger(__name__)
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    databases: Databases
    authenticator: Authenticator
    sign_in: SignIn
    hints: ReceiptHints
    clock: Clock
    limiter: Limiter
    plans: TenantPlans
    answers: AnswerCache
    backlog: BacklogNotes
    look_budget: LookBudget = field(default_factory=LookBudget)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process is told to stop: answers that go on for long end."""


@dataclass(frozen=True, slots=True)
class Call:
    """One checked request."""

    request: Request
    services: Services
    principal: Principal | None
    query: Any
    """A struct of the route's `query` type."""
    body: Any
    """A struct of the route's `body` type."""

    @property
    def caller(self) -> Principal:
        assert self.principal is not None, "the route is public"
        return self.principal

    @property
    def tenant_id(self) -> UUID:
        return self.caller.tenant_id

    @property
    def origin(self) -> Origin:
        """The client's address as the connection says it, or a trusted proxy (runtime/http_edge.py)."""
        client = self.request.client
        return Origin(client.host if client is not None else "", self.request.state.request_id)

    def id(self, name: str) -> UUID:
        """A path parameter; what is no UUID is unknown."""
        try:
            return UUID(self.request.path_params[name])
        except ValueError:
            raise RefusedError("not_found", f"there is no such {name.removesuffix('_id')}") from None


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Routes without query parameters refuse any."""


@dataclass(frozen=True, slots=True)
class ApiRoute:
    method: str
    path: str
    handler: Callable[[Call], Awaitable[Response]]
    summary: str
    scope: Scope | None = None
    """Scope the credential needs; None: none."""
    signed_in: bool = False
    """Without a scope: any valid credential will do; otherwise the route is open to everybody."""
    limit: LimitName | None = "api_requests"
    """What each call with a credential counts for. None: calls that tell of a limit, or end what a thief holds."""
    query: type[msgspec.Struct] = NoQuery
    headers: tuple[str, ...] = ()
    """Request headers it reads, beside those all routes do."""
    body: type[msgspec.Struct] | None = None
    max_body_bytes: int = MAX_BODY_BYTES
    records_refusals: str = ""
    """The action under which the audit log tells of a caller without the scope; empty: it doesn't."""
    status: int = 200
    answers: type[msgspec.Struct] | None = None
    """Type of the answer, where it is one."""
    media_type: str = "application/json"
    other_media_types: tuple[str, ...] = ()
    """Of answers that were asked for in another form."""
    errors: tuple[str, ...] = field(default=())
    """Codes of ERRORS beyond those any route of its kind answers."""


def answer(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(_encoder.encode(document), status, headers, "application/json")


def refusal(kind: ErrorKind, message: str, request_id: str, retry_after: int | None = None) -> Response:
    headers = {}
    if kind.retryable:
        headers["Retry-After"] = str(retry_after or RETRY_AFTER_SECONDS)
    if kind.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(encode_error(kind, message, request_id), kind.status, headers, "application/json")


def endpoint(route: ApiRoute, services: Services) -> Callable[[Request], Awaitable[Response]]:
    """Whatever happens in the handler, the answer is one of the error table or the handler's own."""

    async def handle(request: Request) -> Response:
        response = await answered(request)
        response.headers.update(getattr(request.state, "limit_headers", {}))
        return response

    async def answered(request: Request) -> Response:
        request_id = request.state.request_id
        try:
            WRITTEN.set(None)
            LAST_READING.set(None)
            DATA_THROUGH.set(None)
            READ_AFTER.set(_read_after(request))
            call = await _checked(route, services, request)
            try:
                response = await route.handler(call)
            except Exception as error:
                if route.method != "GET" or not is_connection_lost(error):
                    raise
                response = await route.handler(call)  # its server went away: another one may serve
            return _with_freshness(response)
        except RefusedError as refused:
            response = refusal(refused.kind, refused.message, request_id, refused.retry_after)
            response.headers.update(refused.headers)
            return response
        except ClientDisconnect:
            return refusal(ERRORS["malformed_body"], "the body is cut short, or its chunks are malformed", request_id)
        except Exception as error:
            if is_retriable(error):
                _log.warning("database_unavailable", route=route.path, error=type(error).__name__)
                return refusal(ERRORS["unavailable"], "the database can't be reached or took too long", request_id)
            # The class alone: asyncpg's messages quote values.
            _log.error("request_failed", route=route.path, error=type(error).__name__, where=place_of(error))
            return refusal(ERRORS["internal"], "something went wrong here; quote the request id", request_id)

    return handle


def _read_after(request: Request) -> int:
    """The `Write-Position` of an earlier answer: what is read now must not be behind it."""
    position = request.headers.get("read-after", "0")
    if not (position.isascii() and position.isdigit() and len(position) < 20):
        raise RefusedError("invalid_parameter", "`Read-After` must be the `Write-Position` of an answer")
    return int(position)


def _with_freshness(response: Response) -> Response:
    written, reading = WRITTEN.get(), LAST_READING.get()
    if written is not None:
        response.headers["Write-Position"] = str(written)
    if reading is not None:
        response.headers["Replica-Lag-Seconds"] = f"{reading.lag_seconds:.3f}"
    if (through := DATA_THROUGH.get()) is not None:
        response.headers["Data-Through"] = str(msgspec.to_builtins(through))
    return response


async def _checked(route: ApiRoute, services: Services, request: Request) -> Call:
    principal = None
    if route.scope is not None or route.signed_in:
        principal = await services.authenticator.authenticate(request)
        if route.limit is not None:
            request.state.limit_headers = await _admit(services, principal.tenant_id, route.limit)
        if route.scope is not None and route.scope not in principal.scopes:
            if route.records_refusals:
                refused = Call(request, services, principal, None, None)
                async with services.databases.write(principal.tenant_id) as connection:
                    path = request.url.path[:500]
                    await audit.record(refused, connection, route.records_refusals, path, outcome="refused")
            raise RefusedError("forbidden", f"this needs a credential with the scope `{route.scope}`")
    body = None
    if route.body is not None:
        seconds = services.settings.http_body_seconds
        try:
            async with asyncio.timeout(seconds):
                body = await _read_body(request, route.body, route.max_body_bytes)
        except TimeoutError:
            raise RefusedError("body_timeout", f"the body did not arrive within {seconds:g} s") from None
    return Call(request, services, principal, _read_query(request, route.query), body)


async def _admit(services: Services, tenant_id: UUID, name: LimitName) -> dict[str, str]:
    """The headers that tell of the limit. Raises RefusedError (429)."""
    limit = limit_of(services.plans.find(tenant_id), name, services.settings)
    if limit is None:
        return {}
    verdict = await services.limiter.admit(str(tenant_id), [(limit, 1)])
    if not verdict.admitted:
        raise RefusedError("rate_limited", verdict.reason, verdict.retry_after, verdict.headers)
    return verdict.headers


def _read_query(request: Request, kind: type[msgspec.Struct]) -> msgspec.Struct:
    given = request.query_params.multi_items()
    values = dict(given)
    if len(values) < len(given):
        raise RefusedError("invalid_parameter", "a query parameter is repeated")
    if any("\0" in value for value in values.values()):
        raise RefusedError("invalid_parameter", "a query parameter holds a NUL character")
    try:
        query = msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise RefusedError("invalid_parameter", f"query parameters: {explained(str(error), kind)}") from None
    for attribute, name in _moments_of(kind):
        moment = getattr(query, attribute)
        if moment is not None and not EARLIEST <= moment <= LATEST:
            raise RefusedError(
                "invalid_parameter", f"`{name}` must be a time from the year {EARLIEST.year} to {LATEST.year}"
            )
    return query


@cache
def _moments_of(kind: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    """Attributes that are times, and what callers name them."""
    hints = get_type_hints(kind)
    return tuple(
        (field.name, field.encode_name)
        for field in msgspec.structs.fields(kind)
        if datetime in (hints[field.name], *get_args(hints[field.name]))
    )


async def _read_body(request: Request, kind: type[msgspec.Struct], max_bytes: int) -> msgspec.Struct:
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > max_bytes:
            raise RefusedError("body_too_large", f"the body may have {max_bytes} bytes")
    if b"\\u0000" in chunks:
        raise RefusedError("invalid_body", "the body holds a NUL character")
    try:
        return msgspec.json.decode(bytes(chunks), type=kind)
    except msgspec.ValidationError as error:
        raise RefusedError("invalid_body", explained(str(error), kind)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        why = str(error) if chunks else "it is empty; send `{}` to set none of its fields"
        raise RefusedError("malformed_body", f"the body must be a JSON object: {why}") from None
