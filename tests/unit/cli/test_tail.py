"""What `tail` and `estimate --patterns` print of lines that somebody else wrote."""

from __future__ import annotations

import io
from decimal import Decimal

from rich.console import Console

from mockupaws.cli.render_bill import render_patterns
from mockupaws.cli.tail import TailedLine, render_line
from mockupaws.cost_model.pattern_costs import PatternCost

EVIL = "evil \x1b[2J\x1b]0;title\x07 \x9b31m \u202egnp.exe\rhidden\ttab\nnext ü"
SHOWN = "evil \\x1b[2J\\x1b]0;title\\x07 \\x9b31m \\u202egnp.exe\\rhidden"


def printed(renderable: object) -> str:
    console = Console(file=io.StringIO(), highlight=False, soft_wrap=True, width=200)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_lines_do_not_reach_the_terminal_as_commands() -> None:
    text = printed(render_line(TailedLine("2026-11-26T00:00:00Z", EVIL, source=EVIL, level="\x1b[2J")))
    assert text.count(SHOWN) == 2
    assert text.endswith("next ü\n")
    assert not set(text) & set("\x1b\x07\x9b\u202e\r")


def test_templates_do_not_either() -> None:
    one = Decimal(1)
    pattern = PatternCost(
        template=EVIL, entries=1, bytes=1, tokens=1, share_of_entries=one, share_of_bytes=one, share_of_tokens=one,
        share_of_cost=one, month_cost=one,
    )  # fmt: skip
    text = printed(render_patterns([pattern]))
    assert SHOWN in text
    assert not set(text) & set("\x1b\x07\x9b\u202e\r")
