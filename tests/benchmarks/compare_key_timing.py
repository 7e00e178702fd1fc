"""Whether the time of a refusal tells a key's prefix that exists from one that doesn't: `python -m
tests.benchmarks.compare_key_timing`.

Against an installation of its own: 401s of known prefixes with wrong secrets (the first
character wrong, or the last) and of unknown prefixes, in turn, are compared by the Mann-Whitney U test. `A` is the
probability that a call of the one kind takes longer than one of the other: 0.5 is no separation at all.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from mockupaws.runtime import api_keys
from tests.running_stack import running_stack

UNKNOWN = "unknown"
SIGNIFICANT = 0.001
"""With p below this the kinds are told apart."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of two samples."""

    a: float
    """Probability that a value of the first is the larger one (ties count half)."""
    p: float
    """Probability of a difference like this, or more, where there is none (two-sided, normal approximation)."""


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """For samples of some dozens or more, almost without ties."""
    ranked = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    rank_sum, position = 0.0, 0
    while position < len(ranked):
        end = position
        while end < len(ranked) and ranked[end][0] == ranked[position][0]:
            end += 1
        rank = (position + 1 + end) / 2
        rank_sum += rank * sum(1 for _, which in ranked[position:end] if which == 0)
        position = end
    n, m = len(first), len(second)
    u = rank_sum - n * (n + 1) / 2
    z = (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    return Comparison(u / (n * m), math.erfc(abs(z) / math.sqrt(2)))


def one_prefix(known: str, samples: int) -> list[tuple[str, str]]:
    """The same prefix again and again: kind and key of each call."""
    prefix, secret = known[3:].split("_", 1)
    unknown = api_keys.mint(os.urandom(api_keys.RANDOM_BYTES)).prefix
    keys = {
        "known, first character wrong": f"mk_{prefix}_{_other(secret[0])}{secret[1:]}",
        "known, last character wrong": f"mk_{prefix}_{secret[:-1]}{_other(secret[-1])}",
        UNKNOWN: f"mk_{unknown}_{secret}",
    }
    return [(kind, key) for kind, key in keys.items() for _ in range(samples)]


def each_prefix_once(known: Sequence[str]) -> list[tuple[str, str]]:
    """Prefixes that nobody has asked for since the process knows them: kind and key of each call."""
    calls = []
    for key in known:
        prefix, secret = key[3:].split("_", 1)
        calls.append(("known, asked for once", f"mk_{prefix}_{secret[::-1]}"))
        calls.append((UNKNOWN, f"mk_{api_keys.mint(os.urandom(api_keys.RANDOM_BYTES)).prefix}_{secret}"))
    return calls


def seconds_of(url: str, method: str, path: str, calls: list[tuple[str, str]], seed: int) -> dict[str, list[float]]:
    """How long each 401 took, by kind; in random order, so that drift meets all kinds alike."""
    random.Random(seed).shuffle(calls)
    seconds: dict[str, list[float]] = {kind: [] for kind, _ in calls}
    with httpx.Client(base_url=url, timeout=30) as client:
        for kind, key in calls:
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            began = time.perf_counter()
            answered = client.request(method, path, headers=headers, content=b"{}" if method == "POST" else None)
            seconds[kind].append(time.perf_counter() - began)
            assert answered.status_code == 401, answered.text
    return seconds


def report(name: str, seconds: dict[str, list[float]]) -> bool:
    """Prints each comparison with unknown prefixes; whether none can be told apart."""
    unknown = seconds.pop(UNKNOWN)
    same = True
    for kind, known in sorted(seconds.items()):
        found = mann_whitney(known, unknown)
        told_apart = found.p < SIGNIFICANT
        same = same and not told_apart
        print(
            f"{name:8} {kind:30} median {statistics.median(known) * 1e6:6.0f} µs, unknown "
            f"{statistics.median(unknown) * 1e6:6.0f} µs; A = {found.a:.3f}, p = {found.p:.4f}, n = {len(known)}: "
            f"{'TOLD APART' if told_apart else 'no separation'}"
        )
    return same


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=3000, help="calls of each kind (default %(default)s)")
    parser.add_argument("--keys", type=int, default=300, help="keys that are made and asked for once")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mockupaws-timing-") as folder, running_stack(Path(folder)) as stack:
        with httpx.Client(base_url=stack.api_url, headers=stack.headers, timeout=30) as client:
            made = [
                str(client.post("/api/v1/api-keys", json={"name": f"{n}", "scopes": ["read"]}).json()["key"])
                for n in range(options.keys)
            ]
        time.sleep(2 * stack.settings.directory_refresh_seconds)  # the gateway has read them
        same = True
        for name, url, method, path in (
            ("gateway", stack.ingest_url, "POST", "/api/v1/ingest"),
            ("api", stack.api_url, "GET", "/api/v1/scenarios"),
        ):
            same &= report(name, seconds_of(url, method, path, each_prefix_once(made), options.seed))
            same &= report(name, seconds_of(url, method, path, one_prefix(made[0], options.samples), options.seed))
    return 0 if same else 1


def _other(character: str) -> str:
    return "A" if character != "A" else "B"


if __name__ == "__main__":
    sys.exit(main())
