"""`mockupaws analyse`: what each line of a file holds, one JSON object a line; needs no server."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from mockupaws.cli.open_log_files import BLOCK_BYTES, READ_ERRORS, UnreadableFileError, inflated, open_raw
from mockupaws.schemas.requests import Entry
from mockupaws.stream_processors.analyse_entries import AnalysedEntry, Analyser, Finding
from mockupaws.stream_processors.policies.apply_policy import DEFAULT_POLICY, CompiledPolicy
from mockupaws.stream_processors.policies.document import (
    Persons,
    PolicyDocument,
    PolicyError,
    read_policy,
    with_digests,
)
from mockupaws.stream_processors.policies.tenant_keys import FIRST_KEY, KEY_BYTES, TenantKey


class Result(msgspec.Struct, frozen=True):
    """What is printed of an entry."""

    findings: list[Finding]
    redacted: str
    tokens: int
    sqs_blocks: int
    size_bytes: int


class Refusal(msgspec.Struct, frozen=True):
    """What is printed in place of a line that is no entry, so that results and lines keep pace."""

    error: str


class _Object(msgspec.Struct):
    message: str
    attributes: dict[str, Any] | None = None


def analyse(
    file: Annotated[str, typer.Argument(help="A log file (plain or compressed), or - for standard input.")],
    ndjson: Annotated[
        bool, typer.Option("--ndjson", help="Each line is a JSON object with a message, which may hold line ends.")
    ] = False,
    policy: Annotated[
        Path | None,
        typer.Option(help="Redact by this policy (JSON, see docs/policies.md); marks are under a key of this run."),
    ] = None,
    person: Annotated[
        bool, typer.Option("--person", help="Look for names of persons, too: slower, and less sure than all else.")
    ] = False,
) -> None:
    """Prints findings, redacted text, tokens, SQS blocks and size of each entry, in order.

    Exit code 1 where a line was refused (it has an "error" in the output).
    """
    applied = _policy_of(policy, person=person)
    analyser = Analyser()
    encode = msgspec.json.Encoder().encode_lines
    refused = False
    for lines in _lines_of(file):
        results = _analyse_lines(analyser, applied, lines, ndjson=ndjson)
        refused = refused or any(isinstance(result, Refusal) for result in results)
        sys.stdout.buffer.write(encode(results))
        sys.stdout.buffer.flush()
    if refused:
        raise typer.Exit(1)


def _policy_of(path: Path | None, *, person: bool) -> CompiledPolicy:
    if path is None and not person:
        return DEFAULT_POLICY
    document = PolicyDocument() if path is None else _read_policy(path)
    if person:
        document = msgspec.structs.replace(document, persons=Persons(share=1.0))
    key = TenantKey(FIRST_KEY, os.urandom(KEY_BYTES))
    return CompiledPolicy(with_digests(document, key), 0, key)


def _read_policy(path: Path) -> PolicyDocument:
    """Raises PolicyError where the file can't be read, or is no policy."""
    try:
        return read_policy(msgspec.json.decode(path.read_bytes()))
    except OSError as error:
        raise PolicyError(f"{path} can't be read: {error.strerror}") from None
    except (PolicyError, msgspec.DecodeError) as error:
        raise PolicyError(f"{path} is no policy: {error}") from None


def _analyse_lines(
    analyser: Analyser, policy: CompiledPolicy, lines: list[bytes], *, ndjson: bool
) -> list[Result | Refusal]:
    entries = [_entry_of_object(line) if ndjson else Entry(line.decode(errors="replace")) for line in lines]
    analysed = iter(analyser.analyse_entries([entry for entry in entries if isinstance(entry, Entry)], policy))
    return [_shown(next(analysed)) if isinstance(entry, Entry) else entry for entry in entries]


def _entry_of_object(line: bytes) -> Entry | Refusal:
    text = line.decode(errors="replace")
    try:
        try:
            decoded = msgspec.json.decode(text, type=_Object)
        except msgspec.DecodeError:
            decoded = msgspec.json.decode(_ESCAPE.sub(_without_half_pair, text), type=_Object)
    except (msgspec.DecodeError, RecursionError) as error:
        return Refusal(f"no JSON object with a message: {error}")
    return Entry(decoded.message, attributes=decoded.attributes)


_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


def _without_half_pair(escape: re.Match[str]) -> str:
    """Half a surrogate pair, which JSON may spell but no text holds, becomes U+FFFD: one character for one."""
    return r"\ufffd" if escape[1] else escape[0]


def _shown(entry: AnalysedEntry) -> Result:
    return Result(entry.findings, entry.message, entry.token_count, entry.sqs_blocks, entry.size_bytes)


def _lines_of(file: str) -> Iterator[list[bytes]]:
    """Lines without their ends, as they come in: those of a pipe are not held back until a block is full."""
    pieces: list[bytes] = []
    try:
        with open_raw(file) as raw:
            stream = inflated(raw, file)
            while block := stream.read1(BLOCK_BYTES):
                head, end, rest = block.rpartition(b"\n")
                if end:
                    yield [line.removesuffix(b"\r") for line in b"".join([*pieces, head]).split(b"\n")]
                    pieces = []
                pieces.append(rest)
    except READ_ERRORS as error:
        raise UnreadableFileError(f"{file} can't be read to its end: {error}") from error
    if last := b"".join(pieces):
        yield [last.removesuffix(b"\r")]
