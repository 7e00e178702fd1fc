"""The gate for builds: an estimate beside the one that was kept, and the exit code that stops a build."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mockupaws.cli.main import app
from mockupaws.cost_model.prices import current_prices

D = Decimal
START = 1_704_067_200
PLAN = {"model": {"share_of_lines": 0}, "queue": {"pollers": 0}}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOCKUPAWS_HOME", str(tmp_path))
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))
    return tmp_path


def lines(path: Path, count: int, size: int = 100, minutes: int = 10) -> str:
    with path.open("w") as file:
        for n in range(count):
            at = START + n * minutes * 60 // count
            file.write(json.dumps({"timestamp": at, "message": f"{n} ".ljust(size, "x")}) + "\n")
    return str(path)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        app(["estimate", *arguments])
    return int(ended.value.code or 0)


def compared(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)["comparison"]
    return found


def test_a_release_that_costs_more_than_allowed_stops_the_build(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = lines(home / "before.log", 1000), lines(home / "after.log", 1200)
    plan, kept = ("--architecture", str(home / "plan.json")), str(home / "baseline.json")
    assert run(before, *plan, "--save", kept) == 0
    told = capsys.readouterr().out
    assert "kept as est_" in told
    assert run(before, *plan, "--baseline", kept, "--fail-above", "0") == 0, "the same again is no change"
    assert "within what is allowed" in capsys.readouterr().out
    assert run(after, *plan, "--baseline", kept, "--fail-above", "5%") == 3
    told = capsys.readouterr().out
    assert "MORE THAN ALLOWED: up to 5 % more" in told
    assert "Lambda compute" in told
    assert "%)" in told
    assert run(after, *plan, "--baseline", kept, "--fail-above", "25 %", "--json") == 0
    document = compared(capsys)
    assert document["basis"] == "month"
    assert not document["exceeded"]
    assert abs(D(document["percent"]) - 20) < D("0.5")
    assert D(document["after"]["likely"]) - D(document["before"]["likely"]) == D(document["change"]["total"]["likely"])
    assert document["baseline_id"] != document["estimate_id"]
    assert run(after, *plan, "--baseline", kept, "--per-million-lines", "--fail-above", "1", "--json") == 0
    assert abs(D(compared(capsys)["percent"])) < 1, "each line costs what it did"
    assert run(after, *plan, "--baseline", kept) == 0, "without a limit it only tells"


def test_lines_without_times_are_compared_by_the_million(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, size in (("a.log", 100), ("b.log", 70_000)):
        (home / name).write_text("".join("x" * size + "\n" for _ in range(40)))
    plan, kept = ("--architecture", str(home / "plan.json")), str(home / "baseline.json")
    assert run(str(home / "a.log"), *plan, "--save", kept) == 0
    capsys.readouterr()
    assert run(str(home / "b.log"), *plan, "--baseline", kept, "--fail-above", "50%", "--json") == 3
    document = compared(capsys)
    assert document["basis"] == "million_lines"
    assert document["exceeded"]


def test_what_loses_its_price_is_not_cheaper(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, kept = lines(home / "a.log", 100), str(home / "baseline.json")
    assert run(log, "--preset", "log-sqs-lambda", "--save", kept) == 0
    capsys.readouterr()
    arguments = (log, "--preset", "log-sqs-lambda", "--region", "xx-nowhere-1", "--baseline", kept, "--json")
    assert run(*arguments) == 0
    document = compared(capsys)
    assert document["newly_unpriced"]
    assert run(*arguments, "--fail-above", "1000") == 3
    assert compared(capsys)["exceeded"], "a total that leaves something out proves nothing"


def test_the_part_of_the_change_that_prices_make_is_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, kept = lines(home / "a.log", 500), str(home / "baseline.json")
    plan = ("--architecture", str(home / "plan.json"))
    assert run(log, *plan, "--save", kept) == 0
    doubled = [msgspec.structs.replace(row, price=row.price * 2) for row in current_prices().rows]
    (home / "prices").mkdir()
    dearer = msgspec.structs.replace(current_prices(), name="dearer", rows=doubled)
    (home / "prices" / "book.json").write_bytes(msgspec.json.encode(dearer))
    capsys.readouterr()
    assert run(log, *plan, "--baseline", kept, "--json") == 0
    document = compared(capsys)
    assert D(document["percent"]) == 100
    assert D(document["prices_moved"]) == D(document["change"]["total"]["likely"])


def test_suggestions_and_influences_of_files(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = lines(home / "a.log", 2000)
    plan = home / "dear.json"
    plan.write_text(json.dumps({"model": {"id": "amazon.nova-pro-v1:0", "prompt_tokens_per_line": 2000}}))
    assert run(log, "--architecture", str(plan), "--suggest", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    titles = [suggestion["title"] for suggestion in document["suggestions"]]
    assert any(title.startswith("Use amazon.nova-micro") for title in titles)
    assert any(title.startswith("Drop lines like") for title in titles)
    assert document["influences"][0]["input"] in ("traffic.lines", "model.share_of_lines")
    assert run(log, "--architecture", str(plan), "--suggest") == 0
    told = capsys.readouterr().out
    assert "What moves it most" in told
    assert "What to change" in told
    assert "model.prompt_tokens" in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fail-above", "5%"], "needs --baseline"),
        (["--baseline", "BASE", "--fail-above", "much"], "percentage"),
        (["--baseline", "BASE", "--fail-above", "-1"], "percentage"),
        (["--baseline", "BASE", "--fail-above", "NaN"], "percentage"),
        (["--baseline", "BASE", "--fail-above", "1e9"], "percentage"),
        (["--baseline", "/nowhere"], "nowhere"),
        (["--baseline", "LOG"], "no snapshot of an estimate"),
        (["--preset", "nonsense"], "log-sqs-lambda"),
        (["--save", "/proc/nowhere/x"], "error"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_1(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    log, kept = lines(home / "a.log", 10), str(home / "baseline.json")
    assert run(log, "--save", kept) == 0
    capsys.readouterr()
    named = [{"BASE": kept, "LOG": log}.get(argument, argument) for argument in arguments]
    assert run(log, *named) == 1
    told = capsys.readouterr().err
    assert words in told
    assert "Traceback" not in told


def test_a_log_without_lines_does_not_pass_for_a_cheap_release(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept, empty = str(home / "baseline.json"), home / "empty.log"
    empty.write_text("\n")
    assert run(lines(home / "a.log", 10), "--save", kept) == 0
    assert run(str(empty), "--baseline", kept, "--fail-above", "5%") == 1
    assert "no line stands in" in capsys.readouterr().err
    assert run(str(empty)) == 0, "without a baseline it is what it is: nothing"


def test_lines_without_times_are_told_to_have_no_month(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = home / "plain.log"
    plain.write_bytes(b"a line\n\n\xff\n")
    assert run(str(plain)) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "Of the lines: 1 empty, skipped; 1 with bytes that are no UTF-8." in told
    assert "--hours H adds the bill of a month" in told
    assert "A month is" not in told
    assert run(str(plain), "--json") == 0
    assert "--hours H" in json.loads(capsys.readouterr().out)["notes"][0]
    assert run(str(plain), "--json", "--hours", "24") == 0
    assert json.loads(capsys.readouterr().out)["notes"] == []
