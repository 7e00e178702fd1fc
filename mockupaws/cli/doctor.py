"""`mockupaws doctor`: looks for what can be wrong here, and says what to do about it. Changes nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import shutil
import socket
import stat
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Annotated, Literal

import asyncpg
import httpx
import typer
from rich.console import Console
from rich.markup import escape

from mockupaws.cli.check_secrets import risky_settings, weak_secrets
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.embedded.installation import Installation
from mockupaws.runtime.embedded.supervisor import SupervisorState, read_state
from mockupaws.runtime.errors import PipelineError
from mockupaws.runtime.postgres import load_queries
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.topics import DAY_MS, TOPICS
from mockupaws.stream_processors.count_tokens import available_engine

Verdict = Literal["ok", "warn", "fail", "skip"]

_GIB = 1024**3
_LEAST_DISK_BYTES = 1 * _GIB
_LITTLE_DISK_BYTES = 5 * _GIB
_CLOCK_SKEW_SECONDS = 5.0
_TIMEOUT_SECONDS = 5.0
_MARK = {"ok": "[green]ok  [/]", "warn": "[yellow]warn[/]", "fail": "[red]fail[/]", "skip": "[dim]skip[/]"}


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    verdict: Verdict
    what: str
    advice: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Patient:
    """What the checks look at."""

    settings: Settings
    installation: Installation | None
    """None where nothing was ever started here."""
    state: SupervisorState | None
    """None while nothing runs here."""
    now_us: int

    @property
    def is_elsewhere(self) -> bool:
        """Whether the environment names an installation that no `mockupaws up` started."""
        return self.installation is None and bool(self.settings.postgres_owner_url)


def _patient(settings: Settings, now_us: int) -> Patient:
    if settings.postgres_owner_url or not Installation.exists(settings):
        return Patient(settings, None, None, now_us)
    installation = Installation.open(settings)
    state = read_state(installation.state_file)
    installation = installation if state is None else installation.as_running()
    return Patient(installation.settings, installation, state, now_us)


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Findings as a JSON list.")] = False) -> None:
    """Checks this machine and installation; the exit code is 1 where something fails."""
    findings = list(asyncio.run(examine(os.environ, SystemClock().now_us())))
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=1))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for finding in findings:
            console.print(f"{_MARK[finding.verdict]} {escape(finding.what)}")
            if finding.advice:
                console.print(f"     → {escape(finding.advice)}")
    raise typer.Exit(1 if any(finding.verdict == "fail" for finding in findings) else 0)


async def examine(environ: os._Environ[str] | dict[str, str], now_us: int) -> list[Finding]:
    """All findings; a check that itself fails is one."""
    findings = [check_python(sys.version_info[:2])]
    try:
        settings = Settings.from_environ(environ)
    except PipelineError as error:
        return [*findings, Finding("fail", f"settings: {error}", "correct or unset the variable; see docs/settings.md")]
    patient = _patient(settings, now_us)
    for check in LOCAL_CHECKS:
        findings.extend(check(patient))
    if patient.state is None and not patient.is_elsewhere:
        return [*findings, Finding("skip", "services: nothing runs here", "`mockupaws up` starts everything")]
    for check_service in SERVICE_CHECKS:
        try:
            findings.extend(await check_service(patient))
        except (OSError, TimeoutError, asyncpg.PostgresError, httpx.HTTPError, PipelineError) as error:
            name = check_service.__name__.removeprefix("check_")
            advice = (
                "is the address right, and does it run?" if patient.is_elsewhere else "`mockupaws status` shows why"
            )
            findings.append(Finding("fail", f"{name}: {type(error).__name__}: {error}", advice))
    return findings


def check_python(version: tuple[int, ...]) -> Finding:
    text = ".".join(map(str, version))
    if version < (3, 11):
        return Finding("fail", f"Python {text} is too old", "use 3.11 or newer: make PYTHON=/path/to/python3.11 up")
    return Finding("ok", f"Python {text}")


def check_tokenizer(patient: Patient) -> Iterator[Finding]:
    engine = available_engine()
    if engine == "quicktok":
        yield Finding("ok", "tokens are counted by quicktok")
    else:
        yield Finding(
            "warn",
            "tokens are counted by tiktoken, exact too but ten times slower: quicktok has no wheel for this platform",
            "it loads its vocabularies over the network once; TIKTOKEN_CACHE_DIR names a folder that has them",
        )


def check_disk(patient: Patient) -> Iterator[Finding]:
    home = patient.settings.home.absolute()
    folder = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(folder).free
    what = f"{free / _GIB:.1f} GiB free for {home}"
    if not os.access(folder, os.W_OK):
        yield Finding("fail", f"{folder} can't be written", "give the folder to this user, or set MOCKUPAWS_HOME")
    elif free < _LEAST_DISK_BYTES:
        yield Finding("fail", what, "free some, or set MOCKUPAWS_HOME: Kafka and Postgres stop when the disk is full")
    elif free < _LITTLE_DISK_BYTES:
        yield Finding("warn", what, "a million log lines need about 1 GiB in Kafka, Postgres and the archive")
    else:
        yield Finding("ok", what)


def check_secret_files(patient: Patient) -> Iterator[Finding]:
    for name in ("secrets.json", "demo.env"):
        path = patient.settings.home / name
        if not path.exists():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            yield Finding("fail", f"{path} can be read by others (mode {mode:04o})", f"chmod 600 {path}")
        else:
            yield Finding("ok", f"{path} is this user's alone")


def check_secrets(patient: Patient) -> Iterator[Finding]:
    if patient.installation is None and not patient.settings.production:
        return  # the first `mockupaws up` makes them
    problems = [*weak_secrets(patient.settings), *risky_settings(patient.settings)]
    for verdict, what, advice in problems:
        yield Finding(verdict, what, advice)
    if not problems:
        kind = "a production installation" if patient.settings.production else "this installation"
        yield Finding("ok", f"the secrets are fit for {kind}")


def check_ports(patient: Patient) -> Iterator[Finding]:
    if patient.state is not None or patient.is_elsewhere:
        return  # the processes hold them
    for variable, host, port in _public_ports(patient.settings):
        with socket.socket() as probe:
            probe.settimeout(_TIMEOUT_SECONDS)
            taken = probe.connect_ex((host, port)) == 0
        if taken:
            yield Finding("fail", f"port {port} is taken by another program", f"set {variable} to a free port")
        else:
            yield Finding("ok", f"port {port} is free")


def check_retention(patient: Patient) -> Iterator[Finding]:
    """A request that Kafka can still bring must still be remembered, or a replay would store it twice."""
    kept = max(topic.retention_ms for topic in TOPICS) / DAY_MS
    remembered = patient.settings.applied_request_days
    if remembered <= kept:
        yield Finding(
            "fail",
            f"applied requests are remembered for {remembered} days, topics are kept for {kept:.0f}",
            f"set MOCKUPAWS_APPLIED_REQUEST_DAYS above {kept:.0f}",
        )
    else:
        yield Finding("ok", f"applied requests outlive the topics ({remembered} days against {kept:.0f})")


def check_processes(patient: Patient) -> Iterator[Finding]:
    if patient.state is None or patient.installation is None:
        return
    for process in patient.state["processes"]:
        log = patient.installation.log_file(process["name"])
        if process["state"] != "ready":
            yield Finding("fail", f"{process['name']} is {process['state']}", f"read {log}")
        elif process["restarts"]:
            yield Finding("warn", f"{process['name']} was restarted {process['restarts']} times", f"read {log}")
        else:
            yield Finding("ok", f"{process['name']} is ready")


async def check_postgres(patient: Patient) -> list[Finding]:
    queries = load_queries("mockupaws.cli", "doctor.sql")
    settings = patient.settings
    connection = await asyncpg.connect(
        settings.postgres_owner_url, timeout=_TIMEOUT_SECONDS, command_timeout=_TIMEOUT_SECONDS
    )
    try:
        unforced = [row["relname"] for row in await connection.fetch(queries["unforced_tables"])]
        ends = {
            table: await connection.fetchval(queries["last_partition_ends"], table)
            for table in ("scenario_logs", "scenario_metrics")
        }
    finally:
        await connection.close()
    findings = [
        Finding(
            "fail", f"row-level security is not forced on {', '.join(unforced)}", "run the migrations: mockupaws up"
        )
        if unforced
        else Finding("ok", "row-level security is forced on every tenant table")
    ]
    now = datetime.fromtimestamp(patient.now_us / 1_000_000, tz=UTC)
    findings += [check_partitions(table, end, now) for table, end in ends.items()]
    return findings


def check_partitions(table: str, last_end: str | None, now: datetime) -> Finding:
    """Rows that fit no partition go to the dead letters."""
    advice = "the maintenance process makes them: `mockupaws status`, then its log"
    if last_end is None:
        return Finding("fail", f"{table} has no partition", advice)
    end = datetime.fromisoformat(last_end)
    end = end if end.tzinfo else end.replace(tzinfo=UTC)
    if end <= now:
        return Finding("fail", f"{table} has no partition for now: the last one ended on {end:%Y-%m-%d}", advice)
    if end <= now + timedelta(days=2):
        return Finding("warn", f"{table} has partitions until {end:%Y-%m-%d} only", advice)
    return Finding("ok", f"{table} has partitions until {end:%Y-%m-%d}")


async def check_gateway_and_api(patient: Patient) -> list[Finding]:
    findings: list[Finding] = []
    async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
        for variable, host, port in _public_ports(patient.settings):
            answer = await client.get(f"http://{host}:{port}/health/ready")
            now_us = SystemClock().now_us()  # not the time all this began: checks before may have waited long
            name = variable.split("_")[1].lower()
            verdict: Verdict = "ok" if answer.status_code == 200 else "fail"
            findings.append(Finding(verdict, f"{name} on port {port}: {answer.text.strip()[:200]}"))
            if "Date" in answer.headers:
                findings.append(check_clock(name, parsedate_to_datetime(answer.headers["Date"]), now_us))
    return findings


def check_clock(name: str, server_time: datetime, now_us: int) -> Finding:
    """Seconds are all a Date header tells."""
    skew = abs(server_time.timestamp() - now_us / 1_000_000)
    if skew > _CLOCK_SKEW_SECONDS:
        return Finding("warn", f"the clock differs from {name}'s by {skew:.0f} s", "keep the clocks in step with NTP")
    return Finding("ok", f"the clock agrees with {name}'s")


def _public_ports(settings: Settings) -> Iterator[tuple[str, str, int]]:
    yield "MOCKUPAWS_GATEWAY_PORT", settings.gateway_host, settings.gateway_port
    yield "MOCKUPAWS_API_PORT", settings.api_host, settings.api_port


LOCAL_CHECKS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    check_tokenizer,
    check_disk,
    check_secret_files,
    check_secrets,
    check_ports,
    check_retention,
    check_processes,
)
SERVICE_CHECKS: tuple[Callable[[Patient], Awaitable[list[Finding]]], ...] = (check_postgres, check_gateway_and_api)
