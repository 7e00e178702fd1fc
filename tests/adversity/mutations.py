"""Takes each safeguard out of a copy of the code and shows which test then fails: what is proved, and by what.

    python -m tests.adversity.mutations            all of them
    python -m tests.adversity.mutations fsync      those with a word in their name

The tree itself is never changed. Ends with 1 where a mutant survives its test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
TEST_SECONDS = 420
LEAK_HUNT = "tests/integration/isolation/test_leak_hunt.py"
DRILL = "tests/adversity/test_faults.py::test_nothing_is_lost_and_nothing_comes_twice"


@dataclass(frozen=True, slots=True)
class Mutation:
    safeguard: str
    file: str
    old: str
    new: str
    test: str
    """Node id of the test that has to fail."""
    harm: str
    """What would happen to a user without the safeguard."""

    def apply(self, tree: Path) -> None:
        """Raises ValueError where the code no longer reads as it did: the mutation must be written anew."""
        path = tree / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.safeguard}: {self.file} holds {self.old!r} {text.count(self.old)} times, not once")
        path.write_text(text.replace(self.old, self.new))


MUTATIONS = [
    Mutation(
        "answer only after the acknowledgement",
        "mockupaws/ingest_gateway/make_durable.py",
        "await publisher.publish(*request)",
        "publisher.send(*request)",
        f"{DRILL}[kill at gateway.before_produce]",
        "a gateway that dies takes lines with it that were answered 202",
    ),
    Mutation(
        "spool synced before the answer",
        "mockupaws/ingest_gateway/spool_file.py",
        'connection.execute("PRAGMA synchronous = FULL")',
        'connection.execute("PRAGMA synchronous = OFF")',
        "tests/integration/ingest_gateway/test_spool_power_loss.py",
        "a power cut takes spooled lines with it that were answered 202",
    ),
    Mutation(
        "compare-and-set of the offsets",
        "mockupaws/sinks/offsets.sql",
        " AND o.next_offset = moved.expected",
        "",
        f"{DRILL}[postgres set back in time]",
        "after a restore of the database, what came between backup and restore is never stored",
    ),
    Mutation(
        "applied_requests of the Postgres sink",
        "mockupaws/sinks/postgres/writer.py",
        'if key in applied and applied[key]["is_new"]]',
        "]",
        f"{DRILL}[duplicate storm]",
        "a request that was sent again is stored and counted twice",
    ),
    Mutation(
        "applied_requests of the archive",
        "mockupaws/sinks/parquet/writer.py",
        'del first[row["request_id"].bytes]',
        "pass",
        f"{DRILL}[duplicate storm]",
        "a request that was sent again is archived twice, or stops the archive",
    ),
    Mutation(
        "acknowledged in source order, when durable",
        "mockupaws/stream_processors/ack_order.py",
        "while queue and queue[0].waiting == 0:",
        "while queue:",
        "tests/unit/stream_processors/test_ack_order.py",
        "a processor that dies skips records whose answers were still on their way",
    ),
    Mutation(
        "the tenant of a transaction",
        "mockupaws/runtime/postgres.py",
        "f\"SET LOCAL app.current_tenant = '{tenant}';\"",
        '""',
        LEAK_HUNT,
        "no request for a tenant's data is answered",
    ),
    Mutation(
        "SET LOCAL: a tenant for one transaction",
        "mockupaws/runtime/postgres.py",
        "SET LOCAL app.current_tenant = ",
        "SET app.current_tenant = ",
        "tests/integration/isolation/test_tenant_context.py",
        "through a pooler, who forgets to say a tenant gets the rows of the one before",
    ),
    Mutation(
        "the policy of one table",
        "mockupaws/schemas/postgres/migrations/0001_pre_tenants_and_logs.sql",
        "'ingest_receipts', 'dead_letters'",
        "'dead_letters'",
        LEAK_HUNT,
        "a tenant reads the receipts of all others",
    ),
    Mutation(
        "the audit of the catalogue",
        "mockupaws/schemas/postgres/migrations/0001_pre_tenants_and_logs.sql",
        "'ingest_receipts', 'dead_letters'",
        "'dead_letters'",
        "tests/integration/isolation/test_catalogue.py",
        "a table that forgot its policy goes out",
    ),
    Mutation(
        "the tenant in a cursor",
        "mockupaws/api/users.py",
        'binding = f"users/{call.tenant_id}"',
        'binding = "users"',
        LEAK_HUNT,
        "a cursor of another tenant is told from one that never was",
    ),
    Mutation(
        "each look at dead letters recorded",
        "mockupaws/api/dead_letters.py",
        'await record(call, connection, "dead_letter.viewed", letter_id)',
        "pass",
        LEAK_HUNT,
        "somebody looks at what failed, and nobody knows",
    ),
]


@contextmanager
def mutated_copy(mutation: Mutation) -> Iterator[Path]:
    """The files under version control, with the mutation applied."""
    with tempfile.TemporaryDirectory(prefix="mockupaws-mutant-") as name:
        copy = Path(name)
        copy.chmod(0o755)
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True, text=True)
        for file in listed.stdout.split("\0"):
            if file and (REPOSITORY / file).is_file():
                (copy / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(REPOSITORY / file, copy / file)
        mutation.apply(copy)
        yield copy


def survives(mutation: Mutation) -> tuple[bool, str]:
    """Whether the named test passes without the safeguard, and what pytest said last."""
    with mutated_copy(mutation) as copy:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutation.test],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            timeout=TEST_SECONDS,
            check=False,
        )
    # 1: a test failed. Anything else (no such test, skipped, services that didn't start) proves nothing.
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "E  ", "ERROR"))]
    failed = done.returncode == 1 and any(line.startswith("FAILED") for line in lines)
    return not failed, "\n".join(lines[:3]) or done.stdout[-300:]


def main() -> None:
    words = sys.argv[1:]
    chosen = [m for m in MUTATIONS if not words or any(word.lower() in m.safeguard.lower() for word in words)]
    survivors = 0
    for mutation in chosen:
        survived, said = survives(mutation)
        survivors += survived
        print(f"{'✗ SURVIVED' if survived else '✓ fails'}  without {mutation.safeguard}: {mutation.test}")
        print(f"           else: {mutation.harm}")
        print("\n".join(f"           {line[:160]}" for line in said.splitlines()), flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutations are noticed by the test named for them")
    if survivors or not chosen:
        sys.exit(1)


if __name__ == "__main__":
    main()
