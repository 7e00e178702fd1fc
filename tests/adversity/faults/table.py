"""All faults in one table: what the drill runs, and what it can't run on one machine, with the reason."""

from __future__ import annotations

from tests.adversity.faults.caches_and_archive import CACHE_AND_ARCHIVE_FAULTS
from tests.adversity.faults.disks import DISK_FAULTS
from tests.adversity.faults.fault import Fault
from tests.adversity.faults.kafka import KAFKA_FAULTS
from tests.adversity.faults.limits import LIMIT_FAULTS
from tests.adversity.faults.postgres import POSTGRES_FAULTS
from tests.adversity.faults.processes import PROCESS_FAULTS
from tests.adversity.faults.requests import REQUEST_FAULTS
from tests.adversity.faults.upgrade import UPGRADE_FAULTS

NEEDS_A_CLUSTER = {
    "F03 leader of three killed": "three brokers",
    "F10 controller quorum lost": "three controllers",
    "F19 asynchronous failover": "a Postgres replica",
    "F20 consensus store down": "Patroni",
    "F21 standby stuck": "a Postgres replica",
    "F24 replica lags": "a Postgres replica",
    "F26 pooler restarted": "PgBouncer",
}


def _impossible(name: str, needs: str) -> Fault:
    number, _, what = name.partition(" ")
    return Fault(name=what, number=number, what=what, inject=None, skipped=lambda: f"needs {needs}")


FAULTS: list[Fault] = [
    *PROCESS_FAULTS,
    *KAFKA_FAULTS,
    *POSTGRES_FAULTS,
    *CACHE_AND_ARCHIVE_FAULTS,
    *REQUEST_FAULTS,
    *LIMIT_FAULTS,
    *UPGRADE_FAULTS,
    *DISK_FAULTS,
    *(_impossible(name, needs) for name, needs in NEEDS_A_CLUSTER.items()),
]


TESTED_ELSEWHERE = {
    "F44 retention shorter than the backlog (sinks)": "tests/integration/sinks/test_sink_faults.py"
    "::test_records_that_expired_unread_stop_the_sink_each_time",
    "F44 retention shorter than the backlog (processor)": "tests/integration/sinks/test_losses.py"
    "::test_what_expired_is_an_alarm_that_outlives_the_process_until_an_operator_clears_it",
    "F44 backlog nears its retention": "tests/integration/sinks/test_retention.py",
}
"""Faults under which records really are lost: what is to be shown is that it isn't silent."""


def faults_named(words: list[str]) -> list[Fault]:
    """Those whose name holds, or whose number is, one of the words; all where there is none. Raises ValueError."""
    if not words:
        return FAULTS
    for word in words:
        if not any(_matches(fault, word) for fault in FAULTS):
            raise ValueError(f"no fault is named like {word!r}; `--list` shows all")
    return [fault for fault in FAULTS if any(_matches(fault, word) for word in words)]


def _matches(fault: Fault, word: str) -> bool:
    return word.lower() in fault.name.lower() or word.upper() == fault.number
