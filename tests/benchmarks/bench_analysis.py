"""µs per line of the analysis, one core, new text in each pass: `make bench-analysis`."""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory
from time import process_time

from mockupaws.runtime.huge_pages import use_huge_pages
from mockupaws.schemas.requests import Entry, IngestRequest, decode_bundle, encode_request, join_bundle
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.detect_pii.scan import Scanner
from mockupaws.stream_processors.detect_pii.table import DETECTORS
from tests.benchmarks.compare_detectors import OTHERS, Pass

LINES = 500
"""In one request: a full bundle."""
PASSES = 15

Line = Callable[[random.Random], str]


def _trace(r: random.Random) -> str:
    return f"trace_id={r.getrandbits(128):032x} span={r.getrandbits(64):016x}"


def _application(r: random.Random) -> str:
    return (
        f"2026-11-23T08:12:{r.randrange(60):02d}.{r.randrange(10**6):06d}Z INFO [http-nio-8080-exec-{r.randrange(99)}] "
        f"c.e.shop.OrderService - order {r.randrange(10**7)} accepted in {r.randrange(900)} ms, items={r.randrange(20)} "
        f"total={r.randrange(999)}.{r.randrange(100):02d} {_trace(r)} path=/api/v1/orders/{r.randrange(10**6)} status=200"
    )


def _access(r: random.Random) -> str:
    address = ".".join(str(r.randrange(1, 255)) for _ in range(4))
    return (
        f'{address} - - [23/Nov/2026:08:12:{r.randrange(60):02d} +0000] "GET /api/v1/items/{r.randrange(10**6)}?page='
        f'{r.randrange(99)} HTTP/1.1" 200 {r.randrange(99999)} "-" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 '
        f'(KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36" rt={r.random():.3f} id={uuid.UUID(int=r.getrandbits(128))}'
    )


def _json(r: random.Random) -> str:
    return (
        f'{{"ts":{r.randrange(10**10)},"level":"info","logger":"worker-{r.randrange(9)}","msg":"job done","job":"'
        f'{uuid.UUID(int=r.getrandbits(128))}","queue":"billing","took_ms":{r.random() * 900:.3f},"attempt":1,'
        f'"version":"1.{r.randrange(9)}.{r.randrange(99)}","digest":"{r.getrandbits(160):040x}","rows":{r.randrange(9999)}}}'
    )


def _personal(r: random.Random) -> str:
    name = f"user{r.randrange(10**6)}"
    return r.choice(
        (
            f"WARN login of {name}@example.com failed, password=Hx{r.randrange(10**8)}! retry {r.randrange(9)} {_trace(r)} "
            f"service=auth region=eu-west-1 pod=auth-{r.getrandbits(32):08x} latency={r.randrange(900)} ms cause=credentials",
            f"INFO card 4111 1111 1111 1111 of customer {r.randrange(10**6)} declined, mail {name}@mail.example.org "
            f"{_trace(r)} service=billing region=eu-west-1 amount={r.randrange(900)}.00 EUR shop=web attempt={r.randrange(9)}",
            f"INFO transfer {r.randrange(10**9)} to DE89370400440532013000 queued for {name}@example.net {_trace(r)} "
            f"service=payout region=eu-central-1 amount={r.randrange(900)}.00 EUR batch={r.randrange(9999)} worker=7",
        )
    )


def _production(r: random.Random) -> str:
    return (_personal if r.random() < 0.05 else r.choice((_application, _application, _access, _json)))(r)


def _heavy(r: random.Random) -> str:
    return (_personal if r.random() < 0.5 else r.choice((_application, _access, _json)))(r)


def _long(r: random.Random) -> str:
    return " ".join(_application(r) for _ in range(18))


def _entries(line: Line, r: random.Random, count: int, *, attributes: bool) -> list[Entry]:
    return [
        Entry(
            line(r),
            source=f"svc-{r.randrange(9)}",
            level="info",
            attributes={"pod": f"p-{r.getrandbits(32):08x}", "zone": "b", "n": r.randrange(999)}
            if attributes
            else None,
        )
        for _ in range(count)
    ]


def _measure(analyser: Analyser, line: Line, *, lines: int = LINES, attributes: bool = False) -> tuple[float, float]:
    """(µs per line with decoding, bytes per line): the median of passes over text never seen before."""
    r = random.Random(7)
    times, sizes = [], []
    for _ in range(PASSES):
        entries = _entries(line, r, lines, attributes=attributes)
        sizes.append(sum(len(entry.message) for entry in entries) / lines)
        value = join_bundle([encode_request(IngestRequest(b"r" * 16, b"t" * 16, b"s" * 16, 1, b"h" * 16, entries))])
        started = process_time()
        for request in decode_bundle(value):
            analyser.analyse_request(request)
        times.append((process_time() - started) / lines * 1e6)
    return statistics.median(times), statistics.mean(sizes)


def _start_up(folder: Path) -> float:
    """CPU seconds until the first line can be analysed, in a process of its own."""
    code = (
        "from time import process_time; from pathlib import Path; "
        "from mockupaws.stream_processors.analyse_entries import Analyser; "
        "from mockupaws.stream_processors.detect_pii.scan import Scanner; "
        f"Analyser(Scanner(folder=Path({str(folder)!r}))); print(process_time())"
    )
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def _mebibyte(r: random.Random) -> str:
    return " ".join(_application(r) for _ in range(4400))[: 2**20]


def _growth(scanner: Scanner) -> tuple[float, str]:
    """The worst factor by which the time grows when an example is repeated 16 times as often: 16 is linear."""
    worst = (0.0, "")
    for detector in DETECTORS:
        for text, _ in detector.positives:
            times = []
            for size in (2**13, 2**17):
                data = (text * (size // len(text) + 1))[:size].encode()
                passes = []
                for _ in range(5):  # most take a millisecond: of one pass a disturbance would be told, not the growth
                    started = process_time()
                    scanner.scan(data)
                    passes.append(process_time() - started)
                times.append(min(passes))
            worst = max(worst, (times[1] / times[0], detector.pii_type))
    return worst


def main() -> None:
    with TemporaryDirectory() as folder:
        print(
            f"start-up, compiling {_start_up(Path(folder)):.2f} s CPU, from the kept file {_start_up(Path(folder)):.2f} s"
        )
    analyser = Analyser()
    use_huge_pages()  # as the processor does
    for name, line, lines, attributes in (
        ("production mix, 5 % personal", _production, LINES, False),
        ("the same with attributes", _production, LINES, True),
        ("every second line personal", _heavy, LINES, False),
        ("4 KB lines", _long, 50, False),
        ("one line of 1 MiB", _mebibyte, 1, False),
        ("one line a request", _production, 1, False),
    ):
        micros, size = _measure(analyser, line, lines=lines, attributes=attributes)
        print(f"{name:32s} {micros:10.2f} µs/line  {size:9.0f} bytes/line  {1e6 / micros:10,.0f} lines/s")
    print(f"memory at its peak {getrusage(RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    factor, pii_type = _growth(Scanner())
    print(f"time of 16 times the text, worst of all examples repeated: {factor:.1f} times ({pii_type})")
    print("findings or tokens alone:")
    for name, make, lines in OTHERS:
        _compare(name, make, lines)


def _compare(name: str, make: Callable[[], Pass], lines: int) -> None:
    try:
        run = make()
    except ImportError as missing:
        print(f"  {name:32s} not measured: {missing}")
        return
    r = random.Random(9)
    for mix, line in (("production", _production), ("heavy", _heavy)):
        times = []
        for _ in range(5):
            texts = [line(r) for _ in range(lines)]
            started = process_time()
            run(texts)
            times.append((process_time() - started) / lines * 1e6)
        print(f"  {name:32s} {mix:10s} {statistics.median(times):10.2f} µs/line")


if __name__ == "__main__":
    main()
