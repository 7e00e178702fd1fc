"""`mockupaws analyse --policy`: the same policy as the processor's, without a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mockupaws.cli.analyse import analyse
from mockupaws.stream_processors.policies.document import PolicyError


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
