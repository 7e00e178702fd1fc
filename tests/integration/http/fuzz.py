"""schemathesis against a gateway or API as it is run: a process of its own, judged by its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
ENDS_WHAT_THE_RUN_STANDS_ON = (
    "log_out", "change_password", "change_user", "delete_user", "delete_scenario", "revoke_api_key", "rotate_api_key",
)  # fmt: skip
"""Operations that would take the run's own credentials and scenario away: they are fuzzed by themselves, at the end."""
START_SECONDS = 300
"""What a run may take beyond its time, on a busy machine."""


def fuzz(url: str, credentials: Sequence[str], scenario_id: str, seconds: int, folder: Path) -> None:
    """Raises AssertionError with what schemathesis found; `credentials` are used in turn, "" is none.

    In `seconds` each operation gets the cases of its schema's limits, then random ones, then sequences of operations.
    """
    document = httpx.get(f"{url}/api/v1/openapi.json", timeout=30).json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    for operation in operations:
        for parameter in operation.get("parameters", ()):
            if parameter["name"].lower() in ("scenario_id", "x-scenario-id"):
                parameter["schema"] = {"enum": [scenario_id, "00000000-0000-7000-8000-000000000000"]}
    file = folder / "openapi.json"
    file.write_text(json.dumps(document))
    last = sorted({operation["operationId"] for operation in operations} & set(ENDS_WHAT_THE_RUN_STANDS_ON))
    _run(file, url, credentials, [f"--exclude-operation-id={name}" for name in last], seconds)
    if last:
        _run(file, url, credentials, [f"--include-operation-id={name}" for name in last], max(5, seconds // 4))


def _run(file: Path, url: str, credentials: Sequence[str], options: list[str], seconds: int) -> None:
    for patience in (1, 4):
        done = _schemathesis(file, url, credentials, options, seconds * patience)
        if "No test cases were generated" not in done.stdout:  # a busy machine spent the time on the start
            break
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5000:]
    assert "No issues found" in done.stdout, done.stdout[-5000:]


def _schemathesis(
    file: Path, url: str, credentials: Sequence[str], options: list[str], seconds: int
) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run", str(file),
        "--url", url, "--checks", ",".join(CHECKS), "--continue-on-failure", "--suppress-health-check", "all",
        "--request-timeout", "30", "--max-redirects", "0", "--warnings", "off", "--no-color", "--no-shrink",
        "--phases", "coverage,fuzzing,stateful", "--max-time", str(seconds), *options,
    ]  # fmt: skip
    environ = os.environ | {
        "SCHEMATHESIS_HOOKS": "tests.integration.http.fuzz_hooks",
        "FUZZ_CREDENTIALS": json.dumps(list(credentials)),
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
    }
    return subprocess.run(
        command, env=environ, cwd=file.parent, timeout=seconds + START_SECONDS, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
