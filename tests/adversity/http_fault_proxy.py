"""An HTTP proxy before an S3 server, with the faults object stores are known for (Kafka Connect's S3 tests do these).

with HttpFaultProxy(port_of_the_server) as proxy:
    proxy.fail("PUT", "answer_503", times=2)
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self, get_args

HttpFault = Literal[
    "answer_429",
    "answer_500",
    "answer_503",
    "reset_before",
    "reset_after",
    "ok_with_error",
    "stall",
]
"""
answer_429, answer_500, answer_503   refused, nothing is forwarded
reset_before                         the connection is reset, nothing is forwarded
reset_after                          forwarded and done, but the answer is a reset
ok_with_error                        status 200, but the body says InternalError; nothing is done
stall                                no answer until the client gives up; nothing is forwarded
"""
HTTP_FAULTS: tuple[HttpFault, ...] = get_args(HttpFault)

FORWARD_SECONDS = 60.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_ERROR_XML = "<Error><Code>{}</Code><Message>drill</Message><RequestId>0</RequestId></Error>"
_ANSWERS: dict[HttpFault, tuple[int, str]] = {
    "answer_429": (429, "TooManyRequests"),
    "answer_500": (500, "InternalError"),
    "answer_503": (503, "SlowDown"),
    "ok_with_error": (200, "InternalError"),
}
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


@dataclass(slots=True)
class _Armed:
    method: str
    fault: HttpFault
    times: int


class HttpFaultProxy:
    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.injected: Counter[HttpFault] = Counter()
        self.released = threading.Event()
        self._armed: list[_Armed] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name=f"http-fault-proxy-{self.port}", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.heal()
        self._server.shutdown()
        self._server.server_close()

    def fail(self, method: str, fault: HttpFault, times: int) -> None:
        """The next `times` requests with this method meet the fault."""
        self.released.clear()
        with self._lock:
            self._armed.append(_Armed(method, fault, times))

    def heal(self) -> None:
        """Nothing is armed any more; what stalls is let go (with a reset)."""
        with self._lock:
            self._armed.clear()
        self.released.set()

    @property
    def armed(self) -> int:
        """Faults still to be met."""
        with self._lock:
            return sum(armed.times for armed in self._armed)

    def take(self, method: str) -> HttpFault | None:
        """The fault this request is to meet."""
        with self._lock:
            for armed in self._armed:
                if armed.method == method and armed.times:
                    armed.times -= 1
                    self.injected[armed.fault] += 1
                    return armed.fault
        return None


def _handler_of(proxy: HttpFaultProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = FORWARD_SECONDS

        def do_GET(self) -> None:
            body = self._body()
            fault = proxy.take(self.command)
            if fault == "stall":
                proxy.released.wait(FORWARD_SECONDS)
            if fault in ("reset_before", "stall"):
                self._reset()
            elif fault in _ANSWERS:
                status, code = _ANSWERS[fault]
                self._answer(status, {"Content-Type": "application/xml"}, _ERROR_XML.format(code).encode())
            else:
                answer = self._forward(body)
                if fault == "reset_after":
                    self._reset()
                else:
                    self._answer(*answer)

        do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815 - the names http.server asks for

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                return self._chunks()
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _chunks(self) -> bytes:
            """As they came: a signature may span them."""
            pieces = []
            while True:
                size = self.rfile.readline()
                count = int(size.partition(b";")[0], 16)
                pieces.append(size + self.rfile.read(count + 2))
                if not count:
                    return b"".join(pieces)

        def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", proxy.target_port, timeout=FORWARD_SECONDS)
            try:
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in ("connection", "expect"):
                        connection.putheader(name, value)
                connection.endheaders(body or None)
                answer = connection.getresponse()
                return answer.status, dict(answer.getheaders()), answer.read()
            finally:
                connection.close()

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            length = headers.get("Content-Length", str(len(body))) if self.command == "HEAD" else str(len(body))
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.connection.close()
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """The test reads `injected`."""

        def handle(self) -> None:
            try:
                super().handle()
            except (OSError, ValueError):
                self.close_connection = True

        def finish(self) -> None:
            try:
                super().finish()
            except (OSError, ValueError):
                self.close_connection = True

    return Handler
