"""Made-up text that is no finding: numbers, ids, digests, times, versions, and values that fail their check."""

from __future__ import annotations

import base64
import hashlib
import string
import uuid
from collections.abc import Callable
from random import Random

from tests.accuracy.values import (
    FIRST,
    LAST,
    card_bad,
    digits,
    fiscal_code_bad,
    iban_bad,
    spanish_id_bad,
    ssn_bad,
    text,
)

NOISE: dict[str, Callable[[Random], str]] = {
    "int": lambda r: str(r.randrange(10 ** r.randrange(1, 8))),
    "small": lambda r: str(r.randrange(100)),
    "float": lambda r: f"{r.random() * 10 ** r.randrange(4):.{r.randrange(1, 17)}f}",
    "uuid": lambda r: str(uuid.UUID(int=r.getrandbits(128), version=4)),
    "hex8": lambda r: f"{r.getrandbits(32):08x}", "hex16": lambda r: f"{r.getrandbits(64):016x}",
    "md5": lambda r: hashlib.md5(str(r.random()).encode()).hexdigest(),
    "sha1": lambda r: hashlib.sha1(str(r.random()).encode()).hexdigest(),
    "sha256": lambda r: hashlib.sha256(str(r.random()).encode()).hexdigest(),
    "base64": lambda r: base64.b64encode(r.randbytes(r.randrange(24, 80))).decode(),
    "b64_40": lambda r: base64.b64encode(r.randbytes(30)).decode(),
    "ts": lambda r: f"2026-{r.randrange(1, 13):02d}-{r.randrange(1, 29):02d}T{r.randrange(24):02d}:{r.randrange(60):02d}:{r.randrange(60):02d}.{r.randrange(1000):03d}Z",
    "time": lambda r: f"{r.randrange(24):02d}:{r.randrange(60):02d}:{r.randrange(60):02d}",
    "date": lambda r: f"2026-{r.randrange(1, 13):02d}-{r.randrange(1, 29):02d}",
    "clf": lambda r: f"{r.randrange(1, 29):02d}/Nov/2026:{r.randrange(24):02d}:{r.randrange(60):02d}:{r.randrange(60):02d} +0{r.randrange(3)}00",
    "syslog": lambda r: f"Nov {r.randrange(1, 29):2d} {r.randrange(24):02d}:{r.randrange(60):02d}:{r.randrange(60):02d}",
    "epoch": lambda r: str(r.randrange(1_700_000_000, 1_800_000_000)),
    "epoch_ms": lambda r: str(r.randrange(1_700_000_000_000, 1_800_000_000_000)),
    "epoch_us": lambda r: str(r.randrange(1_700_000_000_000_000, 1_800_000_000_000_000)),
    "version": lambda r: f"{r.randrange(20)}.{r.randrange(30)}.{r.randrange(60)}",
    "version4": lambda r: f"{r.randrange(1, 142)}.{r.randrange(10)}.{r.randrange(255)}.{r.randrange(255)}",
    "digits9": lambda r: digits(r, 9), "digits10": lambda r: digits(r, 10), "digits16": lambda r: digits(r, 16),
    "digits12": lambda r: digits(r, 12),
    "pod": lambda r: f"{r.choice(('checkout', 'auth', 'billing'))}-{text(r, 10, 'bcdfghjklmnpqrstvwxz2456789')}-{text(r, 5, 'bcdfghjklmnpqrstvwxz2456789')}",
    "first": lambda r: r.choice(FIRST).title(), "last": lambda r: r.choice(LAST).title(), "user": lambda r: f"{r.choice(FIRST)}{r.randrange(99)}",
    "card_bad": card_bad, "iban_bad": iban_bad, "ssn_bad": ssn_bad, "fiscal_bad": fiscal_code_bad, "es_bad": spanish_id_bad,
    "object": lambda r: f"{r.getrandbits(30):x}", "letters": lambda r: text(r, 12, string.ascii_lowercase),
}  # fmt: skip
"""What `‹name›` stands for: no finding."""
