"""Every setting, topic and command is documented, and every link leads somewhere."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mockupaws.cli.main import COMMANDS
from mockupaws.cost_model.tokenizers import TOKENIZERS
from mockupaws.runtime.settings import PREFIX, Settings
from mockupaws.schemas.dead_letters import REASONS
from mockupaws.schemas.topics import TOPICS
from mockupaws.stream_processors.reported_usage import USAGE_ATTRIBUTES

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)#:]+)\)")


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "scripts").glob("write_*_page.py")))
def test_each_written_page_is_as_its_source_says(name: str) -> None:
    script = ROOT / "scripts" / name
    done = subprocess.run([sys.executable, str(script), "--check"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Settings)])
def test_each_setting_is_documented(field: str) -> None:
    assert f"`{PREFIX}{field.upper()}`" in text_of("docs/settings.md")


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_documented(name: str) -> None:
    table = text_of("README.md").partition("## Commands")[2].partition("\n## ")[0]
    assert re.search(rf"`(mockupaws )?{name}`", table)


@pytest.mark.parametrize("topic", [topic.name for topic in TOPICS])
def test_each_topic_is_documented(topic: str) -> None:
    assert f"`{topic}`" in text_of("docs/architecture.md")


def test_each_reason_for_a_dead_letter_is_explained() -> None:
    source = text_of("mockupaws/schemas/dead_letters.py")
    assert [reason for reason in REASONS if not re.search(rf"^{reason} +\S", source, re.MULTILINE)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    missing = [target for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert missing == []


def test_modules_named_in_the_architecture_exist() -> None:
    named = re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?)`", text_of("docs/architecture.md"))
    package, other = ROOT / "mockupaws", ROOT
    assert [name for name in named if not (package / name).exists() and not (other / name).exists()] == []


def test_each_tokenizer_and_each_reported_usage_is_documented() -> None:
    page = text_of("docs/measures.md")
    for row in TOKENIZERS:
        assert re.search(
            rf"^\|[^|]*`{re.escape(row.model_prefix)}`[^|]*\| {row.encoding} \| {row.factor} ", page, re.M
        ), row
    for names in USAGE_ATTRIBUTES:
        assert "| `{}` | `{}` |".format(*names) in page
