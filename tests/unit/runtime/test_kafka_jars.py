"""Downloads against a server of ours that cuts, lies, refuses, or knows no ranges."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mockupaws.runtime.embedded.kafka_jars import (
    ATTEMPTS,
    Jar,
    JarsUnreachableError,
    fetch_jars,
    jars_folder,
    locked_jars,
    read_lock,
)

CONTENT = bytes(range(256)) * 4096
JAR = Jar("org.example.parts", "engine", "1.2", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class Repository:
    """Serves CONTENT under the jar's path; `answer` decides how the n-th request (from 1) is treated."""

    def __init__(self, answer: Callable[[int], str] = lambda _: "all", *, ranges: bool = True) -> None:
        self.answer = answer
        self.ranges = ranges
        self.requests: list[str | None] = []
        """The Range header of each request."""

    @contextmanager
    def serve(self) -> Iterator[str]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/maven"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        repository = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers["Range"]
                repository.requests.append(asked)
                how = repository.answer(len(repository.requests))
                if self.path != "/maven/org/example/parts/engine/1.2/engine-1.2.jar" or how == "refuse":
                    self.send_error(503)
                    return
                first = int(asked.removeprefix("bytes=").rstrip("-")) if asked and repository.ranges else 0
                body = {"all": CONTENT, "cut": CONTENT, "corrupt": b"\0" * len(CONTENT), "endless": CONTENT * 3}[how]
                self.send_response(206 if first else 200)
                self.send_header("Content-Length", str(len(body) - first))
                self.end_headers()
                last = first + (len(body) - first) // 2 if how == "cut" else len(body)
                self.wfile.write(body[first:last])

            def log_message(self, *_: object) -> None:
                """Silent."""

        return Handler


def fetch(folder: Path, url: str, say: Callable[[str], object] = lambda _: None) -> list[Path]:
    return fetch_jars(say, folder=folder, jars=[JAR], repository=url, first_pause_seconds=0.001)


def test_a_jar_is_fetched_once_and_checked(tmp_path: Path) -> None:
    said: list[str] = []
    repository = Repository()
    with repository.serve() as url:
        assert fetch(tmp_path, url, said.append) == [tmp_path / "engine-1.2.jar"]
        assert fetch(tmp_path, url) == [tmp_path / "engine-1.2.jar"]
    assert (tmp_path / "engine-1.2.jar").read_bytes() == CONTENT
    assert repository.requests == [None]
    assert said[0].startswith("fetching Kafka: 1 files, 1 MB")
    assert said[-1] == "  1 of 1 MB"


def test_a_cut_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    repository = Repository(lambda n: "cut" if n < 3 else "all")
    with repository.serve() as url:
        fetch(tmp_path, url)
    size = len(CONTENT)
    assert repository.requests == [None, f"bytes={size // 2}-", f"bytes={size * 3 // 4}-"]
    assert (tmp_path / "engine-1.2.jar").read_bytes() == CONTENT
    assert not list(tmp_path.glob("*.part"))


def test_the_next_call_goes_on_with_what_the_last_one_kept(tmp_path: Path) -> None:
    with Repository(lambda n: "cut" if n == 1 else "refuse").serve() as url, pytest.raises(JarsUnreachableError):
        fetch(tmp_path, url)
    repository = Repository()
    with repository.serve() as url:
        fetch(tmp_path, url)
    assert repository.requests == [f"bytes={len(CONTENT) // 2}-"]
    assert (tmp_path / "engine-1.2.jar").read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over(tmp_path: Path) -> None:
    with Repository(lambda n: "cut" if n == 1 else "all", ranges=False).serve() as url:
        fetch(tmp_path, url)
    assert (tmp_path / "engine-1.2.jar").read_bytes() == CONTENT


@pytest.mark.parametrize("how", ["corrupt", "endless"])
def test_other_bytes_than_locked_are_thrown_away_and_fetched_anew(tmp_path: Path, how: str) -> None:
    with Repository(lambda n: how if n == 1 else "all").serve() as url:
        fetch(tmp_path, url)
    assert (tmp_path / "engine-1.2.jar").read_bytes() == CONTENT


def test_bytes_that_stay_wrong_never_stand_under_the_jars_name(tmp_path: Path) -> None:
    repository = Repository(lambda _: "corrupt")
    with repository.serve() as url, pytest.raises(JarsUnreachableError, match="other bytes than kafka_jars"):
        fetch(tmp_path, url)
    assert len(repository.requests) == ATTEMPTS
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_a_damaged_jar_in_the_cache_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "engine-1.2.jar").write_bytes(CONTENT[:-1] + b"!")
    with Repository().serve() as url:
        fetch(tmp_path, url)
    assert (tmp_path / "engine-1.2.jar").read_bytes() == CONTENT


def test_without_a_network_the_message_says_what_to_do(tmp_path: Path) -> None:
    with Repository().serve() as url:
        closed = url
    with pytest.raises(JarsUnreachableError) as caught:
        fetch(tmp_path, closed)
    assert "ConnectError" in str(caught.value)
    assert f"copy the folder {tmp_path} from a machine that has it" in str(caught.value)


def test_the_lock_names_a_whole_broker() -> None:
    jars = locked_jars()
    assert {"kafka_2.13", "kafka-clients", "zstd-jni", "log4j-slf4j-impl"} <= {jar.artifact for jar in jars}
    assert len({jar.file_name for jar in jars}) == len(jars)
    assert all(len(bytes.fromhex(jar.sha256)) == 32 and jar.size_bytes > 0 for jar in jars)


def test_the_lock_has_comments_and_blank_lines() -> None:
    text = f"# why\n\norg.example.parts:engine:1.2 {JAR.size_bytes} {JAR.sha256}\n"
    assert read_lock(text) == [JAR]


def test_the_cache_is_where_the_desktop_convention_puts_it(tmp_path: Path) -> None:
    assert jars_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "mockupaws" / "kafka"
    fallback = Path.home() / ".cache" / "mockupaws" / "kafka"
    assert jars_folder({}) == fallback
    assert jars_folder({"XDG_CACHE_HOME": "relative/is/ignored"}) == fallback
