"""The compiled expressions, kept on disk, since compiling them takes a second and loading them some milliseconds.

A file is taken only where it is ours (owner, no rights for others) and whole (its digest), and its name holds the digest
of the expressions, the library's version and the processor, so that another release or machine makes its own. Any
trouble with it costs the second, never the start.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import stat
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hyperscan

from mockupaws.runtime.errors import PermanentError
from mockupaws.runtime.replace_file import replace_file
from mockupaws.stream_processors.detect_pii.detector import Expression

_DIGEST_BYTES = 32
_FEATURES_OF_PROCESSOR = Path("/proc/cpuinfo")
_MODE = 0o600


class ExpressionRefusedError(PermanentError):
    """An expression does not compile."""


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where compiled expressions are kept: below XDG_CACHE_HOME, else below ~/.cache."""
    cache = environ.get("XDG_CACHE_HOME")
    return (
        (Path(cache) if cache and Path(cache).is_absolute() else Path.home() / ".cache") / "mockupaws" / "expressions"
    )


def open_database(expressions: Sequence[Expression], folder: Path | None) -> Any:
    """The database of these expressions, numbered from 0: loaded from `folder`, or compiled and kept there (None: not kept).

    Raises ExpressionRefusedError naming the expression that does not compile.
    """
    if folder is None:
        return _compile(expressions)
    file = folder / f"{_key(expressions)}.hs"
    database = _load(file)
    if database is None:
        database = _compile(expressions)
        content = hyperscan.dumpb(database)
        with contextlib.suppress(OSError):  # a folder that can't be written costs the next start a second
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(file, hashlib.sha256(content).digest() + content, _MODE)
    return database


def _load(file: Path) -> Any | None:
    try:
        with file.open("rb") as opened:
            status = os.fstat(opened.fileno())
            if (
                status.st_uid != os.geteuid()
                or stat.S_IMODE(status.st_mode) & 0o077
                or not stat.S_ISREG(status.st_mode)
            ):
                return None
            content = opened.read()
    except OSError:
        return None
    digest, content = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        return None
    try:
        database = hyperscan.loadb(content, hyperscan.HS_MODE_BLOCK)
        database.scratch = hyperscan.Scratch(database)
    except hyperscan.HyperscanError:
        return None
    return database


def _key(expressions: Sequence[Expression]) -> str:
    parts = [version("hyperscan"), platform.machine(), _processor(), _probe()]
    parts += [f"{expression.pattern}\0{expression.caseless}" for expression in expressions]
    return hashlib.sha256("\1".join(parts).encode()).hexdigest()[:32]


def _probe() -> str:
    """What the library says of a database it makes here: its own version and the instructions it uses."""
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(expressions=[b"x"], ids=[0], elements=1, flags=[0])
    return str(database.info())


def _processor() -> str:
    try:
        lines = _FEATURES_OF_PROCESSOR.read_text("ascii", "replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _compile(expressions: Sequence[Expression]) -> Any:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    try:
        _compile_into(database, expressions)
    except hyperscan.HyperscanError:
        for expression in expressions:
            try:
                _compile_into(hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK), [expression])
            except hyperscan.HyperscanError as error:
                raise ExpressionRefusedError(f"expression {expression.rule} does not compile: {error}") from error
        raise
    return database


def _compile_into(database: Any, expressions: Sequence[Expression]) -> None:
    database.compile(
        expressions=[expression.pattern.encode("latin-1") for expression in expressions],
        ids=list(range(len(expressions))),
        elements=len(expressions),
        flags=[hyperscan.HS_FLAG_CASELESS if expression.caseless else 0 for expression in expressions],
    )
