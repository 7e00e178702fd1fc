"""An HTTP proxy before an S3 server, which answers as many requests badly as it was told to."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

Fault = Literal["429", "500", "503", "reset before", "reset after", "error in a 200", "stall"]
FAULTS: tuple[Fault, ...] = ("429", "500", "503", "reset before", "reset after", "error in a 200")
_CODES = {"429": "TooManyRequests", "500": "InternalError", "503": "SlowDown"}
_RESET = struct.pack("ii", 1, 0)
FORWARD_SECONDS = 20


class S3FaultProxy:
    """`fail` says what happens to the next requests of a method for a key; `done` counts what happened."""

    def __init__(self, host: str, port: int, stall_seconds: float = 0.0) -> None:
        self.target = (host, port)
        self.stall_seconds = stall_seconds
        self.done = 0
        self._planned: dict[str, list[Fault]] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def fail(self, method: str, fault: Fault, times: int) -> None:
        with self._lock:
            self._planned[method] = [fault] * times

    def next_fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            planned = self._planned.get(method)
            if not planned or ".parquet" not in path:
                return None
            self.done += 1
            return planned.pop()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler_of(proxy: S3FaultProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            self._handle()

        do_GET = do_HEAD = do_POST = do_DELETE = do_PUT  # noqa: N815 - names http.server looks for

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            match proxy.next_fault(self.command, self.path):
                case None:
                    self._forward(body)
                case "reset before":
                    self._reset()
                case "reset after":
                    self._forward(body, answer=False)
                    self._reset()
                case "stall":
                    time.sleep(proxy.stall_seconds)
                    self._reset()
                case "error in a 200":
                    self._answer(200, b"<Error><Code>InternalError</Code></Error>")
                case fault:
                    self._answer(int(fault), f"<Error><Code>{_CODES[fault]}</Code></Error>".encode())

        def _forward(self, body: bytes, answer: bool = True) -> None:
            connection = http.client.HTTPConnection(*proxy.target, timeout=FORWARD_SECONDS)
            try:
                connection.request(self.command, self.path, body, dict(self.headers))
                response = connection.getresponse()
                content = response.read()
                if answer:
                    self._answer(response.status, content, response.getheaders())
            finally:
                connection.close()

        def _answer(self, status: int, content: bytes, headers: list[tuple[str, str]] | None = None) -> None:
            self.send_response_only(status)
            length = str(len(content))
            for name, value in headers or [("Content-Type", "application/xml"), ("Content-Length", length)]:
                if name.lower() not in ("transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def _reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.close_connection = True
            self.rfile.close()
            self.wfile.close()
            self.connection.close()

        def log_message(self, *_: Any) -> None:
            """Faults are expected here."""

    return Handler
