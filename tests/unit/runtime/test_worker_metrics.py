"""Workers tell of each other."""

from __future__ import annotations

import os

import pytest

from mockupaws.runtime.worker_metrics import WorkerMetrics, merged, shared_metrics

ONE = b"""# HELP reads_total Reads.
# TYPE reads_total counter
reads_total{route="/a"} 2.0
# HELP open Open.
# TYPE open gauge
open 1.0
"""


def test_series_of_each_worker_stand_side_by_side() -> None:
    text = merged({"1": ONE, "2": ONE.replace(b"2.0", b"3.0"), "3": b""}).decode()
    assert 'reads_total{route="/a",worker="1"} 2.0' in text
    assert 'reads_total{route="/a",worker="2"} 3.0' in text
    assert text.count("# TYPE reads_total counter") == 1
    assert 'open{worker="2"} 1.0' in text
    assert 'worker="3"' not in text


async def test_a_single_process_tells_of_itself_without_a_label() -> None:
    with shared_metrics(1):
        async with WorkerMetrics().told() as metrics:
            assert b"worker=" not in await metrics.text()


async def test_a_worker_that_is_gone_is_left_out() -> None:
    before = dict(os.environ)
    with shared_metrics(2):
        async with WorkerMetrics().told() as metrics:
            async with WorkerMetrics().told():
                both = (await metrics.text()).decode()
            one = (await metrics.text()).decode()
    assert ('worker="1"' in both, 'worker="2"' in both) == (True, True)
    assert ('worker="1"' in one, 'worker="2"' in one) == (True, False)
    assert dict(os.environ) == before


@pytest.mark.parametrize("name", ["a\nb", 'quoted "so"'])
def test_labels_survive(name: str) -> None:
    escaped = name.replace('"', '\\"').replace("\n", "\\n").encode()
    line = b'reads_total{route="' + escaped + b'"} 1.0'
    text = b"# HELP reads_total Reads.\n# TYPE reads_total counter\n" + line + b"\n"
    assert b'route="' + escaped + b'"' in merged({"1": text})
