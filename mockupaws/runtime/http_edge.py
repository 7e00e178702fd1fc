"""The outermost layer of gateway and API: what holds for every request and every answer, whatever the route.

In this order: 1. the head is bounded and names one host that is ours; 2. the client's address and scheme are taken from
the connection, or from a trusted proxy; 3. the request gets its id, which stands in the answer, in each log line and in
error bodies; 4. another site's pages may read the answer only if they are listed; 5. the answer gets the security
headers, also where it is a refusal or a failure of ours; 6. a client that stops reading an answer is let go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mockupaws.runtime.clock import Clock
from mockupaws.runtime.errors import PipelineError, place_of
from mockupaws.runtime.http_checks import AllowedHosts, TrustedProxies, is_request_id, parse_origins
from mockupaws.runtime.mint_ids import IdMint
from mockupaws.runtime.plain_structlog import structlog
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import HTTP_REFUSALS, get_logger
from mockupaws.schemas.http.errors import ErrorKind, encode_error
from mockupaws.schemas.http.headers import SECURITY_HEADERS
from mockupaws.schemas.identifiers import id_text

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

MAX_HEAD_BYTES = 32 * 1024
"""Of path, query and all headers together."""
PREFLIGHT_SECONDS = 600

EDGE_ERRORS = (
    ErrorKind("malformed_request", 400, False, "the request names no host, several, or one that can't be"),
    ErrorKind("host_not_allowed", 421, False, "this service isn't to be called by that host name"),
    ErrorKind("head_too_large", 431, False, f"path and headers have more than {MAX_HEAD_BYTES} bytes"),
    ErrorKind("internal", 500, False, "a defect of ours; the request id finds it in the log"),
)
"""What any path may answer: a part of each service's table."""
_KINDS = {kind.code: kind for kind in EDGE_ERRORS}

_STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")

_ALLOWED_HEADERS = (
    b"authorization, x-api-key, content-type, content-encoding, idempotency-key, x-scenario-id, x-request-id, "
    b"if-match, last-event-id"
)
_EXPOSED_HEADERS = (
    b"x-request-id, retry-after, ratelimit-limit, ratelimit-remaining, ratelimit-reset, location, etag, "
    b"content-disposition, data-through, replica-lag-seconds"
)
_WITHOUT_HOST_CHECK = frozenset({"/health", "/health/ready"})
"""Probes of orchestrators call by the process's address, whatever it is; these tell nothing of any tenant."""
_LOOKED_AT = frozenset(
    {b"host", b"origin", b"x-request-id", b"x-forwarded-for", b"x-forwarded-proto", b"access-control-request-method"}
)
_OUR_NAMES = frozenset({name for name, _ in SECURITY_HEADERS} | {
    b"x-request-id", b"strict-transport-security", b"vary", b"access-control-allow-origin",
    b"access-control-expose-headers",
})  # fmt: skip
_log = get_logger(__name__)


class SlowClientError(PipelineError):
    """A client left a piece of a streamed answer unread for too long."""


class HttpEdge:
    """Around an ASGI application; `scope["state"]["request_id"]` is then the request's id, as text."""

    def __init__(self, app: Application, settings: Settings, listens_on: str, clock: Clock) -> None:
        """Raises SettingsError."""
        self._app = app
        self._clock = clock
        self._send_seconds = settings.http_send_seconds
        self._hosts = AllowedHosts(settings.http_allowed_hosts, listens_on)
        self._proxies = TrustedProxies.of(settings.http_trusted_proxies)
        self._origins = parse_origins(settings.http_allowed_origins)
        self._ids = IdMint()
        self._always = [*SECURITY_HEADERS, (b"vary", b"Origin")] if self._origins else SECURITY_HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given, head_bytes = _looked_at(scope)
        self._believe_proxy(scope, given)
        ids = given.get(b"x-request-id", ())
        if len(ids) == 1 and is_request_id(ids[0]):
            request_id = ids[0].decode()
        else:
            request_id = id_text(self._ids.mint(self._clock.now_us()))
        # A copy: granian hands the same mapping to every request.
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        origins = given.get(b"origin", ())
        allowed_origin = origins[0] if len(origins) == 1 and origins[0] in self._origins else None
        answer = _Answer(send, self._headers(request_id, scope["scheme"], allowed_origin), self._send_seconds)
        refusal = self._refusal(scope, given, head_bytes)
        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            if refusal is not None:
                HTTP_REFUSALS.labels(refusal[0]).inc()
                await answer.refuse(*refusal, request_id)
            elif (
                allowed_origin is not None
                and scope["method"] == "OPTIONS"
                and b"access-control-request-method" in given
            ):
                await answer.send_whole(204, _preflight(), b"")
            else:
                await self._run(scope, receive, answer, request_id)
        finally:
            structlog.contextvars.reset_contextvars(**bound)

    async def _run(self, scope: Scope, receive: Receive, answer: _Answer, request_id: str) -> None:
        try:
            await self._app(scope, receive, answer.send)
        except SlowClientError:
            HTTP_REFUSALS.labels("slow_client").inc()  # cut off: what it got so far has no end, and it sees that
        except Exception as error:
            # The class alone: a message or traceback may quote what was sent.
            _log.error("request_failed", error=type(error).__name__, where=place_of(error))
            if not answer.started:  # else it ends here, and the client sees that it is cut short
                await answer.refuse("internal", "something went wrong here; quote the request id", request_id)

    def _refusal(self, scope: Scope, given: dict[bytes, list[bytes]], head_bytes: int) -> tuple[str, str] | None:
        """Code and message, where the request isn't looked at any further."""
        if head_bytes > MAX_HEAD_BYTES:
            return "head_too_large", f"path and headers may have {MAX_HEAD_BYTES} bytes together"
        hosts = given.get(b"host", ())
        allowed = self._hosts.allows(hosts[0]) if len(hosts) == 1 else None
        if allowed is None:
            return "malformed_request", "send one Host header with a host name or address"
        if not allowed and scope["path"] not in _WITHOUT_HOST_CHECK:
            return "host_not_allowed", "call by another host name, or add this one to MOCKUPAWS_HTTP_ALLOWED_HOSTS"
        return None

    def _believe_proxy(self, scope: Scope, given: dict[bytes, list[bytes]]) -> None:
        if not self._proxies.networks or not scope.get("client"):
            return
        peer, port = scope["client"]
        if not self._proxies.trusts(peer):
            return
        client = self._proxies.client_of(peer, given.get(b"x-forwarded-for", ()))
        scope["client"] = (client, port if client == peer else 0)
        scheme = given.get(b"x-forwarded-proto", [b""])[-1].rpartition(b",")[2].strip().lower()
        if scheme in (b"http", b"https"):
            scope["scheme"] = scheme.decode()

    def _headers(self, request_id: str, scheme: str, allowed_origin: bytes | None) -> Headers:
        headers = [(b"x-request-id", request_id.encode()), *self._always]
        if scheme == "https":
            headers.append(_STRICT_TRANSPORT)
        if allowed_origin is not None:
            headers += [
                (b"access-control-allow-origin", allowed_origin),
                (b"access-control-expose-headers", _EXPOSED_HEADERS),
            ]
        return headers


class _Answer:
    """Sends with headers of ours, where the application didn't set them itself."""

    def __init__(self, send: Send, headers: Headers, send_seconds: float) -> None:
        self._send = send
        self._send_seconds = send_seconds
        self._headers = headers
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            own, ours = message.get("headers", ()), self._headers
            names = {name for name, _ in own}
            if not names.isdisjoint(_OUR_NAMES):
                ours = [header for header in ours if header[0] not in names]
            message["headers"] = [*own, *ours]
            await self._send(message)
        elif message.get("more_body"):
            try:
                async with asyncio.timeout(self._send_seconds):
                    await self._send(message)
            except TimeoutError:
                raise SlowClientError from None
        else:
            await self._send(message)

    async def refuse(self, code: str, message: str, request_id: str) -> None:
        """Ends the connection, too: what follows on it isn't to be trusted to be a request."""
        kind = _KINDS[code]
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        await self.send_whole(kind.status, headers, encode_error(kind, message, request_id))

    async def send_whole(self, status: int, headers: Headers, body: bytes) -> None:
        if body:
            headers = [*headers, (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _looked_at(scope: Scope) -> tuple[dict[bytes, list[bytes]], int]:
    """The headers that matter here, and the size of the whole head."""
    given: dict[bytes, list[bytes]] = {}
    size = len(scope["path"]) + len(scope["query_string"])
    for name, value in scope["headers"]:
        size += len(name) + len(value)
        if name in _LOOKED_AT:
            given.setdefault(name, []).append(value)
    return given, size


def _preflight() -> Headers:
    return [
        (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
        (b"access-control-allow-headers", _ALLOWED_HEADERS),
        (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
    ]
