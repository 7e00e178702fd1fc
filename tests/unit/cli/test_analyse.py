"""`mockupaws analyse`: what the processor finds and does, without a server."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from uuid import UUID

import pytest

from mockupaws.cli.analyse import analyse
from mockupaws.ingest_gateway.protocols.decoded import EntryLimits
from mockupaws.ingest_gateway.protocols.native_json import decode_json
from mockupaws.ingest_gateway.protocols.ndjson import decode_ndjson
from mockupaws.ingest_gateway.timestamps import TimestampRange
from mockupaws.stream_processors.analyse_entries import Analyser
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


def test_halves_of_pairs_are_kept_and_marked_as_the_gateway_does(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    pieces = (rb"\ud83d", rb"\uDE00", rb"\ud83d\ude00", rb"\u0041", rb"\\", rb"\n", rb"\"", "é".encode(), b"ud800")
    texts = [b"".join(some) for count in (1, 2, 3) for some in product(pieces, repeat=count)]
    objects = [b'{"message":"%b","attributes":{"%b":["%b"]}}' % (text, text, text) for text in texts]
    log = tmp_path / "app.ndjson"
    log.write_bytes(b"\n".join(objects))
    analyse(str(log), ndjson=True)
    here = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    scenario = UUID(int=1)
    limits = EntryLimits(len(objects), 2**20, TimestampRange.at(0, 1, 1))
    body = b'{"scenario_id":"%b","logs":[%b]}' % (str(scenario).encode(), b",".join(objects))
    entries = decode_json(body, limits).entries
    assert entries == decode_ndjson(log.read_bytes(), scenario, limits).entries
    assert len(entries) == len(here) == len(objects)
    for there, result in zip(Analyser().analyse_entries(entries), here, strict=True):
        assert (result["redacted"], result["size_bytes"]) == (there.message, there.size_bytes)
    for entry, text in zip(entries, texts, strict=True):
        assert entry.message == json.loads(b'"%b"' % text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


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
