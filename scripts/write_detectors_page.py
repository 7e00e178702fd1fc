"""Writes docs/detectors.md from the table of detectors: types, rules, why, and the examples that tests hold them to.

python scripts/write_detectors_page.py            # writes the page
python scripts/write_detectors_page.py --check    # only says whether it is as it would be written
"""

from __future__ import annotations

import sys
from pathlib import Path

from mockupaws.schemas.pii_types import PII_TYPES
from mockupaws.stream_processors.detect_pii.detector import UNEXAMINED, Detector
from mockupaws.stream_processors.detect_pii.person_rules import PERSON, PERSON_RULES
from mockupaws.stream_processors.detect_pii.table import DETECTORS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "detectors.md"

_HEAD = f"""\
# What is found in a line

Each line is scanned once for all expressions below, and a second time with its escapes undone (`%40`, `\\u0040`, `\\"`,
`\\n`, `&#64;`) where it has any; each hit is then checked exactly. A finding has a type, a rule with its version, its
span in characters of the line as sent, a score and, here, why; never the value. The score is the share of the rule's
findings expected to be right. How often they are: [accuracy.md](accuracy.md). What is done with them:
[policies.md](policies.md).

Of two findings that overlap, one inside the other gives way to it; else the type that stands earlier here wins. A line
with more hits than are looked at (1,024 and one for each 8 bytes) is one finding of rule `{UNEXAMINED}`, as a whole.

Names of persons (PERSON, at the end) are only looked for where the policy asks for it, in a share of the requests.

This page is written by `scripts/write_detectors_page.py`.
"""


def render() -> str:
    return _HEAD + "".join(_section(detector) for detector in (*DETECTORS, PERSON))


def _section(detector: Detector) -> str:
    rules = [
        f"| `{expression.versioned}` (asleep) | {expression.version} | {score:g} |"
        if expression.asleep
        else f"| `{rule}` | {expression.version} | {score:g} |"
        for expression in detector.expressions
        for rule, score in expression.rules()
    ]
    if detector is PERSON:
        rules = [f"| `{rule}` | {version} | {score:g} |" for rule, (version, score) in PERSON_RULES.items()]
    found = [f"- {_code(text)} → {_code(value)}" for text, value in detector.positives]
    passed = [f"- {_code(text)}" for text in detector.negatives]
    return "\n".join(
        [
            f"\n## {detector.pii_type}\n\n{detector.why}\n\n| rule | version | score |\n|---|--:|--:|",
            *dict.fromkeys(rules),
            "\nFound:\n",
            *found,
            "\nNot found:\n",
            *passed,
            "",
        ]
    )


def _code(text: str) -> str:
    shown = text.replace("\n", "⏎")
    ticks = "``" if "`" in shown else "`"
    return f"{ticks}{shown}{ticks}"


def main() -> int:
    assert {detector.pii_type for detector in DETECTORS} == set(PII_TYPES) - {"PERSON"}
    page = render()
    if "--check" in sys.argv[1:]:
        if PAGE.read_text("utf-8") == page:
            return 0
        print(f"{PAGE} is not as scripts/write_detectors_page.py writes it")
        return 1
    PAGE.write_text(page, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
