"""`mockupaws analyse`: what the processor finds and does, without a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mockupaws.cli.analyse import analyse
from mockupaws.stream_processors.policies.document import PolicyError


def test_places_are_in_characters_of_the_line_as_it_stands(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    log = tmp_path / "app.log"
    log.write_bytes("a\0é 😀 ".encode() + b"\xff\xfe bob@example.com\r\n" + b"a" * 2**20 + b"\n10.0.0.1")
    analyse(str(log))
    first, second, third = (json.loads(line) for line in capfdbinary.readouterr().out.splitlines())
    (found,) = first["findings"]
    assert (found["type"], found["start"], found["end"]) == ("EMAIL", 9, 24)
    assert first["redacted"] == "a␀é 😀 \ufffd\ufffd [EMAIL]"
    assert second["findings"] == []
    assert (second["size_bytes"], second["sqs_blocks"]) == (2**20, 16)
    assert third["redacted"] == "[IPV4]"


def test_half_a_surrogate_pair_in_an_object_counts_as_one_character(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    log = tmp_path / "app.ndjson"
    log.write_bytes(
        rb'{"message": "\\ud83d \ud83d\ude00 \ud83d\nbob@example.com \udc00", "attributes": {"\ud800": "\ud800"}}'
        + b"\n"
    )
    analyse(str(log), ndjson=True)
    (only,) = (json.loads(line) for line in capfdbinary.readouterr().out.splitlines())
    (found,) = only["findings"]
    assert (found["start"], found["end"]) == (len("\\ud83d 😀 ?\n"), len("\\ud83d 😀 ?\nbob@example.com"))
    assert only["redacted"] == "\\ud83d 😀 \ufffd\n[EMAIL] \ufffd"


def test_a_policy_in_a_file_is_applied(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    policy, log = tmp_path / "policy.json", tmp_path / "app.log"
    policy.write_text(
        json.dumps({"actions": {"EMAIL": "hash"}, "allow": [{"type": "EMAIL", "value": "no-reply@example.com"}]})
    )
    log.write_text("bob@example.com 10.0.0.1\nBOB@example.com no-reply@example.com\n")
    analyse(str(log), policy=policy)
    first, second = (json.loads(line) for line in capfdbinary.readouterr().out.splitlines())
    mark = first["redacted"].removesuffix(" [IPV4]")
    assert mark.startswith("[EMAIL:h:")
    assert second["redacted"] == f"{mark} no-reply@example.com"
    assert [(finding["type"], finding["action"]) for finding in second["findings"]] == [("EMAIL", "hash")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"actions": {"EMIAL": "mask"}}', "did you mean `EMAIL`"),
        (b"{", "is no policy"),
        (b"\xff", "is no policy"),
        (None, "can't be read"),
    ],
)
def test_a_file_that_is_no_policy_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    policy = tmp_path / "policy.json"
    if content is not None:
        policy.write_bytes(content)
    with pytest.raises(PolicyError, match=words):
        analyse("-", policy=policy)
