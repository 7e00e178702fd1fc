"""Writes docs/settings.md from the source of mockupaws/runtime/settings.py: names, defaults and their docstrings.

python scripts/write_settings_page.py            # writes the page
python scripts/write_settings_page.py --check    # only says whether it is as it would be written
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "mockupaws" / "runtime" / "settings.py"
PAGE = ROOT / "docs" / "settings.md"

_HEAD = """\
# Settings

Every process reads its settings once, at start, from the environment; an unknown `MOCKUPAWS_*` variable stops it, so
that a misspelt one can't pass in silence. Under `mockupaws up` the addresses and secrets of the embedded services are
filled in; for all other settings what the environment sets goes before the default.

Clients read `MOCKUPAWS_INGEST_URL`, `MOCKUPAWS_API_URL`, `MOCKUPAWS_API_KEY` and `MOCKUPAWS_SCENARIO_ID`, which
`.mockupaws/demo.env` holds for the demo tenant (with `MOCKUPAWS_EMAIL` and `MOCKUPAWS_PASSWORD` for signing in);
servers ignore these.

This page is written by `scripts/write_settings_page.py`.

| variable | default | meaning |
|---|---|---|
"""


def render(source: str) -> str:
    """Raises ValueError naming a setting without a docstring."""
    return _HEAD + "".join(
        f"| `MOCKUPAWS_{name.upper()}` | {_default(value)} | {meaning} |\n" for name, value, meaning in _fields(source)
    )


def _fields(source: str) -> list[tuple[str, ast.expr, str]]:
    settings = next(
        node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == "Settings"
    )
    fields: list[tuple[str, ast.expr, str]] = []
    for node, following in zip(settings.body, settings.body[1:], strict=False):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name) or node.value is None:
            continue
        if not (isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)):
            raise ValueError(f"{node.target.id} has no docstring")
        fields.append((node.target.id, node.value, " ".join(str(following.value.value).split())))
    return fields


def _default(value: ast.expr) -> str:
    text = ast.unparse(value).removeprefix("Path(").removesuffix(")") if "Path(" in ast.unparse(value) else None
    text = text or ast.unparse(value)
    if isinstance(value, ast.BinOp):
        return f"`{eval(compile(ast.Expression(value), '<default>', 'eval')):,}`"  # noqa: S307 (our own source)
    return "empty" if text == "''" else f"`{text.strip(chr(39))}`"


def main() -> int:
    page = render(SOURCE.read_text())
    if "--check" in sys.argv[1:]:
        if PAGE.read_text() == page:
            return 0
        print(f"{PAGE} is not as scripts/write_settings_page.py writes it")
        return 1
    PAGE.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
