"""The lines a drill sends: unique, from a seed, some with personal data, some hard to store; and how each must be kept.

What must be stored is written down here by hand, not asked of the code under test.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import NamedTuple

TOKEN = re.compile(r"drill=([a-z0-9_]+)\.(\d+)\.(\d+) ")
"""(run, number of the request, index of the line): each line begins with its own."""

CANARIES = ("canary-leak.example", "4111111111111111", "hunter2-canary")
"""Personal data and secrets of which no trace may stand in a log, a row or the archive."""

_PLAIN = (
    "GET /api/orders/{n} 200 in {n} ms",
    "worker picked job {n} from queue default",
    "cache miss for product {n}, asking the store",
    'could not parse "quantity": expected a number\n  at line {n}\n\tin cart.js',
    "Größe überschritten: {n} Einträge — 注文 {n} 件 🧾",
)
_LONG = "stack frame {n} of the payment service, " * 40
_PERSONAL = (
    ("user anna.{n}@canary-leak.example signed in", "user [EMAIL] signed in"),
    ("paid with 4111111111111111 in {n} ms", "paid with [CREDIT_CARD:1111] in {n} ms"),
    ("login of job {n} with password=hunter2-canary failed", "login of job {n} with password=[PASSWORD] failed"),
)
_HARD = (
    ("nul {n} \0 inside", "nul {n} \u2400 inside"),
    ("half a pair {n} \ud83d here", "half a pair {n} \ufffd here"),
    ("backslashes {n} \\x \\\\ and \\N", "backslashes {n} \\x \\\\ and \\N"),
    (_LONG, _LONG),
)


class Line(NamedTuple):
    sent: str
    stored: str


@dataclass(frozen=True, slots=True)
class Content:
    """Makes the lines of each request of one run, the same for the same seed."""

    seed: int
    run: str

    def lines(self, number: int, count: int) -> list[Line]:
        chance = random.Random(f"{self.seed}.{self.run}.{number}")
        return [self._line(chance, number, index) for index in range(count)]

    def _line(self, chance: random.Random, number: int, index: int) -> Line:
        head = f"drill={self.run}.{number}.{index} "
        n = chance.randrange(10_000)
        kind = chance.random()
        if kind < 0.1:
            sent, stored = chance.choice(_PERSONAL)
        elif kind < 0.15:
            sent, stored = chance.choice(_HARD)
        else:
            sent = stored = chance.choice(_PLAIN)
        return Line(head + sent.format(n=n), head + stored.format(n=n))
