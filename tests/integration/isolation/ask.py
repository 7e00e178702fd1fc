"""One request to an ASGI application, and all that comes back; an event stream is left after its first line."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.types import ASGIApp

ANSWER_SECONDS = 60.0
_PLACE = re.compile(r"\{(\w+)\}")
_REQUEST_ID = re.compile(rb'"request_id":"[^"]*"')


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def request_id(self) -> str:
        return dict(self.headers).get("x-request-id", "")

    @property
    def text(self) -> str:
        """Headers and body, as one text to look for canaries in."""
        return "\n".join(f"{name}: {value}" for name, value in self.headers) + "\n" + self.body.decode(errors="replace")

    @property
    def but_for_request_id(self) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        """What two answers that tell nothing apart have in common."""
        headers = tuple(header for header in self.headers if header[0] != "x-request-id")
        body = _REQUEST_ID.sub(b'"request_id":""', self.body) if self.status >= 400 else self.body
        return self.status, headers, body


def places_in(template: Any) -> set[str]:
    """The names of all `{places}` in the strings of a JSON value."""
    match template:
        case str():
            return set(_PLACE.findall(template))
        case Mapping():
            return places_in(list(template.values()))
        case list() | tuple():
            return {name for held in template for name in places_in(held)}
    return set()


def fill(template: Any, things: Mapping[str, str]) -> Any:
    match template:
        case str():
            return _PLACE.sub(lambda found: things[found[1]], template)
        case Mapping():
            return {name: fill(held, things) for name, held in template.items()}
        case list() | tuple():
            return [fill(held, things) for held in template]
    return template


async def ask(
    app: ASGIApp, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: Any
) -> Answered:
    """`body`: text as it is, None for none, anything else as JSON."""
    sent = {"host": "api"} | {name.lower(): value for name, value in headers.items()}
    content = b"" if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
    if body is not None:
        sent.setdefault("content-type", "application/json")
        sent["content-length"] = str(len(content))
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": urlencode(query).encode(),
        "root_path": "", "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 1), "server": ("localhost", 80), "state": {},
    }  # fmt: skip
    start: MutableMapping[str, Any] = {}
    received = bytearray()
    given = False
    left = asyncio.Event()

    async def receive() -> MutableMapping[str, Any]:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": content, "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            received.extend(message.get("body", b""))
        if b"event: log" in received:
            left.set()

    async with asyncio.timeout(ANSWER_SECONDS):
        await app(scope, receive, send)
    answered = tuple((name.decode().lower(), value.decode()) for name, value in start["headers"])
    return Answered(start["status"], answered, bytes(received))
