"""Log lines like a shop's: about 250 bytes each as JSON, 30 % with personal data; one seed, one sequence."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.benchmarks.request_forms import FORMS, FormName, encode

LINES_IN_BODY = 100
_PERSONAL_SHARE = 0.3
_MESSAGE_CHARACTERS = 150


def _word(choose: random.Random) -> str:
    return f"{choose.getrandbits(40):010x}"


def _email(choose: random.Random) -> str:
    name = choose.choice(("ada", "bruno", "chloe", "dario"))
    return f"{name}.{_word(choose)[:5]}@example.{choose.choice(('com', 'org'))}"


def _card(choose: random.Random) -> str:
    digits = [4, *(choose.randrange(10) for _ in range(14))]
    doubled = sum(d * 2 - 9 * (d > 4) if i % 2 == 0 else d for i, d in enumerate(digits))
    return "".join(map(str, [*digits, -doubled % 10]))


def _address(choose: random.Random) -> str:
    return f"203.0.113.{choose.randrange(1, 255)}"


_PERSONAL: tuple[Callable[[random.Random], str], ...] = (
    lambda choose: f"password reset mail sent to {_email(choose)}, token valid 30 min",
    lambda choose: (
        f"sign-in from {_address(choose)} by {_email(choose)} succeeded after {choose.randrange(1, 4)} tries"
    ),
    lambda choose: f"card {_card(choose)} declined by issuer, order {choose.randrange(10**7)}, code 05",
    lambda choose: f"client {_address(choose)} exceeded its quota of {choose.randrange(100, 900)} requests",
)
_PLAIN: tuple[Callable[[random.Random], str], ...] = (
    lambda choose: (
        f"GET /catalogue/items/{choose.randrange(10**6)}?page={choose.randrange(40)} 200 in {choose.randrange(900)} ms"
    ),
    lambda choose: (
        f"job {_word(choose)} finished: {choose.randrange(10**4)} rows in {choose.randrange(60)} s, queue empty"
    ),
    lambda choose: f"cache miss for key basket:{_word(choose)}, loaded in {choose.randrange(30)} ms from replica",
    lambda choose: f"stock level of article {choose.randrange(10**6)} fell to {choose.randrange(50)}, reorder raised",
)


def make_message(choose: random.Random) -> str:
    templates = _PERSONAL if choose.random() < _PERSONAL_SHARE else _PLAIN
    message = choose.choice(templates)(choose)
    line = f"{message}; trace={_word(choose)} span={_word(choose)} build=2026.11.{choose.randrange(30)} "
    return line.ljust(_MESSAGE_CHARACTERS, ".")[:_MESSAGE_CHARACTERS]


def make_log(choose: random.Random) -> dict[str, object]:
    return {
        "message": make_message(choose),
        "source": choose.choice(("checkout", "catalogue", "accounts", "warehouse")),
        "level": choose.choice(("info", "info", "info", "warn", "error")),
        "attributes": {"host": f"node-{choose.randrange(20)}", "ms": choose.randrange(900)},
    }


def make_bodies(
    scenario_id: str, count: int, lines: int = LINES_IN_BODY, seed: int = 7, form: FormName = "mockupaws"
) -> list[bytes]:
    """Request bodies of so many lines each."""
    choose = random.Random(seed)
    return [encode(FORMS[form], scenario_id, [make_log(choose) for _ in range(lines)]) for _ in range(count)]
