"""Whatever a log file is compressed, encoded or wrapped in, each of its events is one entry; archives are refused."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest

from mockupaws.cli import json_documents
from mockupaws.cli.open_log_files import UnreadableFileError
from mockupaws.cli.read_log_files import EntryReader, read_chunks
from mockupaws.schemas.requests import Entry

NOW_US = 1_795_500_000_000_000  # November 2026
EVENTS = [
    {"timestamp": 1_795_482_123_000 + n, "message": f"START {n}\n", "logStreamName": "s", "eventId": str(n)}
    for n in range(300)
]
OF_CLOUDWATCH = [
    Entry(f"START {n}", (1_795_482_123_000 + n) * 1000, "f", attributes={"logStreamName": "s", "eventId": str(n)})
    for n in range(300)
]
SUBSCRIPTION = [{"messageType": "DATA_MESSAGE", "logEvents": EVENTS[at : at + 50]} for at in range(0, 300, 50)]


def entries_of(folder: Path, data: bytes) -> list[Entry]:
    path = folder / "f"
    path.write_bytes(data)
    reader = EntryReader("f", NOW_US)
    return [entry for chunk in read_chunks(str(path)) for entry in reader.entries_of(chunk)]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"events": EVENTS, "searchedLogStreams": []}, indent=4),
        json.dumps({"events": EVENTS, "nextToken": "x"}),
        json.dumps(EVENTS),
        json.dumps(EVENTS, indent=1),
        json.dumps({"logEvents": EVENTS}),
        "".join(map(json.dumps, SUBSCRIPTION)),
        "\n".join(map(json.dumps, SUBSCRIPTION)),
        "\n".join(json.dumps(event, indent=2) for event in EVENTS),
        "".join(map(json.dumps, EVENTS)),
        "\n".join(map(json.dumps, EVENTS)),
    ],
    ids=[
        "filter-log-events",
        "get-log-events",
        "array",
        "array over lines",
        "subscription",
        "firehose",
        "subscriptions by line",
        "jq",
        "objects without line ends",
        "JSON lines",
    ],
)
def test_each_event_of_a_document_is_an_entry(tmp_path: Path, text: str) -> None:
    assert entries_of(tmp_path, text.encode()) == OF_CLOUDWATCH
    assert entries_of(tmp_path, gzip.compress(text.encode())) == OF_CLOUDWATCH


def test_records_of_cloudtrail_are_entries_at_their_times(tmp_path: Path) -> None:
    """One line of more than a message may have."""
    records = [{"eventTime": f"2026-11-24T01:{n // 60:02}:{n % 60:02}Z", "pad": "x" * 5000} for n in range(300)]
    found = entries_of(tmp_path, json.dumps({"Records": records}).encode())
    assert [json.loads(entry.message) for entry in found] == records
    assert [entry.timestamp_us for entry in found[:2]] == [1_795_482_000_000_000, 1_795_482_001_000_000]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ('{"message": "cut\n{"message": "b"}\n', ['{"message": "cut', "b"]),
        ('{"message": "a", "events": [{"x": 1}]}\n{"message": "b"}\n', ["a", "b"]),
        ('{\n "a": 1\n}\n10:00 started\n', ["{", ' "a": 1', "}", "10:00 started"]),
        ("[2026-11-24 10:00:00] INFO\n[main] x\n", ["[2026-11-24 10:00:00] INFO", "[main] x"]),
        ("[1, 2]\n", ["[1, 2]"]),
        ("{not json} {\n", ["{not json} {"]),
    ],
)
def test_lines_that_only_look_like_a_document_stay_lines(tmp_path: Path, text: str, messages: list[str]) -> None:
    assert [entry.message for entry in entries_of(tmp_path, text.encode())] == messages


def test_a_document_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    for text in (json.dumps({"events": EVENTS}, indent=4), json.dumps(EVENTS), json.dumps({"events": EVENTS})):
        with pytest.raises(UnreadableFileError, match="begins as a JSON document and is none"):
            entries_of(tmp_path, text[:-300].encode())


def test_a_document_too_large_to_hold_says_how_to_make_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_documents, "MAX_DOCUMENT_BYTES", 1000)
    with pytest.raises(UnreadableFileError, match=r"jq -c"):
        entries_of(tmp_path, json.dumps({"events": EVENTS}, indent=4).encode())


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress, gzip.compress])
def test_what_logrotate_may_use_is_read(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    text = b"".join(b"line %d\n" % n for n in range(20_000))
    assert len(entries_of(tmp_path, pack(text))) == 20_000
    with pytest.raises(UnreadableFileError, match="can't be read to its end"):
        entries_of(tmp_path, pack(text)[:-30])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_files_of_windows_are_text(tmp_path: Path, encoding: str) -> None:
    mark = "\ufeff" if encoding.endswith("e") else ""
    text = '{"message": "café 🙂"}\n' * 9_000
    entries = entries_of(tmp_path, (mark + text).encode(encoding))
    assert len(entries) == 9_000
    assert {entry.message for entry in entries} == {"café 🙂"}


def test_archives_are_refused_with_what_to_do(tmp_path: Path) -> None:
    packed, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.log", "x\n" * 1000)
    with tarfile.open(fileobj=tarred, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("app.log"), io.BytesIO())
    for data, kind in ((packed, "ZIP"), (tarred, "TAR")):
        with pytest.raises(UnreadableFileError, match=f"is a {kind} archive: unpack it"):
            entries_of(tmp_path, data.getvalue())
    with pytest.raises(UnreadableFileError, match="is a TAR archive"):
        entries_of(tmp_path, gzip.compress(tarred.getvalue()))
    with pytest.raises(UnreadableFileError, match="journalctl"):
        entries_of(tmp_path, b"LPKSHHRH" + bytes(300))
