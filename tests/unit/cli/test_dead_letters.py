"""The sub-commands of `mockupaws dead-letters`, as far as they need no server."""

from __future__ import annotations

import msgspec
import pytest
from typer.testing import CliRunner

from mockupaws.cli.dead_letters import dead_letters, readable
from mockupaws.cli.main import app
from mockupaws.schemas.requests import Entry, IngestRequest, encode_request, join_bundle

REQUEST = IngestRequest(b"r" * 16, b"t" * 16, b"s" * 16, 1, b"h", [Entry("a line")])


@pytest.mark.parametrize("name", ["list", "show", "redrive"])
def test_the_command_has_its_sub_commands(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        app(["dead-letters", name, "--help"])
    assert ended.value.code == 0
    assert f"mockupaws dead-letters {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["redrive"], "say --all"),
        (["redrive", "--reason", "no_such"], "none of"),
        (["list", "--state", "gone"], "none of"),
        (["list", "--since", "yesterday"], "no time like"),
    ],
)
def test_wrong_input_is_told_before_anything_is_asked(arguments: list[str], told: str) -> None:
    done = CliRunner().invoke(dead_letters, arguments)
    assert done.exit_code == 2
    assert told in " ".join(done.output.replace("│", " ").split())


@pytest.mark.parametrize("original", [encode_request(REQUEST), join_bundle([encode_request(REQUEST)])])
def test_a_payload_is_shown_as_json_where_it_can_be_read(original: bytes) -> None:
    shown = msgspec.json.decode(readable(original))
    assert "a line" in str(shown)


def test_any_other_payload_is_shown_as_base64() -> None:
    assert readable(b"\xc1") == "base64:wQ=="
