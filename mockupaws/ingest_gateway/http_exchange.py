"""One HTTP request as ASGI hands it over, and its answer: what the ingest path needs of both, and nothing else.

Every request passes here. A web framework's objects, routing and middleware took half of what a small one costs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from mockupaws.runtime.http_edge import Receive, Scope, Send


class ClientGoneError(Exception):
    """The client went away, or what it sent on is no HTTP."""


MAX_LENGTH_DIGITS = 19
"""Of a Content-Length: what 64 bits hold."""


class HttpRequest:
    """`headers`: by lower-case name; of a repeated one the first. `query`: of a repeated name the last."""

    __slots__ = ("_receive", "announced", "headers", "query", "request_id")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self.request_id: str = scope["state"]["request_id"]
        """The edge's: it stands in the answer and in log lines."""
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}
        length = self.headers.get("content-length", "")
        # Beside an encoding a length says nothing (RFC 9112 §6.3).
        says = length.isdecimal() and len(length) <= MAX_LENGTH_DIGITS and "transfer-encoding" not in self.headers
        self.announced: int | None = int(length) if says else None
        """Bytes of the body, as its head says; None: it doesn't."""
        query: bytes = scope["query_string"]
        self.query = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {}

    async def stream(self) -> AsyncIterator[bytes]:
        """The body, as it arrives. Raises ClientGoneError.

        Of one whose length was announced the server isn't asked for the end, which it would tell in a message of its
        own: each is handed over between two threads.
        """
        known = self.announced is not None
        left = self.announced or 0
        more = left > 0 or not known
        while more:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            body: bytes = message.get("body", b"")
            left -= len(body)
            if body:
                yield body
            more = message.get("more_body", False) and (left > 0 or not known)


@dataclass(slots=True)
class Answer:
    """JSON."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    async def send(self, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self.body))]
        headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})
