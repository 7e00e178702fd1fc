"""Writes docs/costs.md: how the bill is made, with an example computed by the code and traceable to its price rows.

python scripts/write_costs_page.py            # writes the page
python scripts/write_costs_page.py --check    # only says whether it is as it would be written
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from math import ceil
from pathlib import Path
from typing import get_args

import msgspec

from mockupaws.cost_model.architecture import PRESETS, Architecture, changed_architecture
from mockupaws.cost_model.bill import bill, bill_document
from mockupaws.cost_model.price_usage import Estimate
from mockupaws.cost_model.prices import shipped_book
from mockupaws.cost_model.projection import project_month
from mockupaws.cost_model.quantities import Quantities
from mockupaws.cost_model.sensitivity import influences
from mockupaws.cost_model.suggestions import suggestions
from mockupaws.stream_processors.count_sqs_blocks import BATCH_SIZES, count_batched_requests, count_sqs_blocks

PAGE = Path(__file__).resolve().parent.parent / "docs" / "costs.md"
BOOK = shipped_book("2026-11-25")
CHUNK = 65_536
SIZES = [100, 200_000, 65_536, 65_537, 10, 1_000, 131_072, 131_073]
START = 1_704_067_200
ARCHITECTURE = {
    "region": "eu-west-1",
    "queue": {"batch_size": 10},
    "function": {"memory_mb": 256, "duration_ms": 40, "duration_ms_per_kb": "0.5", "batch_size": 100},
    "model": {
        "share_of_lines": "0.02",
        "prompt_tokens_per_line": 1200,
        "cached_share": "0.9",
        "output_tokens_per_line": 60,
    },
    "log_group": {"used": True, "retention_days": 30},
}

_HEAD = """\
# Costs

What the measured traffic would cost on AWS. `mockupaws estimate FILE…` computes it from log files, `GET
/api/v1/scenarios/{id}/costs` from what a scenario received; both by the same code, `cost_model/`. This page is
written by `scripts/write_costs_page.py`: every figure in it is computed, and names the row of the price book it
rests on.

## Why measure

SQS bills each call by started 64 KiB of its payload. A calculator that is given an average size misses that. Eight
lines:

"""
_RANGE = """
## What the range is made of

- **Low, likely, high of usage.** Low: every batch is full, no receive comes back empty, the model's tokens are
  fewer than counted. Likely: batches as full as the order and the requests the lines came in allow (SQS: measured),
  consumers poll in vain in the minutes without a line. High: one line a call and an invocation, consumers poll in
  vain all the time.
- **The month.** 30.4 days. Where a day or more was measured, each hour of the day counts by its own mean; else the
  span goes on.
- **Low and high of traffic**, from how the measured volumes spread: the mean of n days (three or more), else hours,
  else minutes is known to ± t·s/√n (95 %, Student's t). The low month has that much less traffic, the high one
  more.
- **Growth**, where the architecture says so, multiplies all three.
- Money is Decimal throughout; nothing is rounded before it is printed. Prices aren't part of the range.
- What has no price is `unpriced`: listed with its quantity and reason, not in the total, and `complete` is false.
  So is what lies beyond the last tier that is known.

[ADR 0040](adr/0040-the-range-of-the-bill.md), [ADR 0046](adr/0046-months-from-the-measured-spread.md).
"""
_TAIL = """
## The price book

`cost_model/price_book/*.json`: a file for each version, a row for each meter, region and tier, with AWS's usage
type, the address of the offer file it can be checked in, the public data it was read from, other public data that
agrees, and dates. `mockupaws prices show sqs --region eu-west-1` lists rows, `prices audit` compares versions and
names rows with one source, `prices update` reads AWS's public price list and puts a new book in force
(`prices/book.json` under `MOCKUPAWS_HOME`). [ADR 0044](adr/0044-price-rows-and-who-agrees-with-them.md).

## Kept estimates

`POST /api/v1/scenarios/{id}/estimates` keeps all a bill was made of (measured quantities, architecture, the price
rows used) under an id that is its digest; `GET /api/v1/estimates/{estimate_id}` computes the bill from it again,
the same to the last digit, whatever has changed since. `mockupaws estimate --save FILE` writes the same document.
[ADR 0047](adr/0047-estimates-are-kept-whole.md).

## Budgets

`POST /api/v1/budgets` sets a limit on a scenario: `month_cost` (the likely month), `month_lines`, or what quotas are
about: `lines_per_second`, `sqs_messages_per_second`, `lambda_concurrency`, `model_tokens_per_minute`. `maintenance`
looks at it every five minutes, with the traffic of the last `window_days`, and raises an alert at each of
`thresholds` (percent of the limit), once in a month and version of the budget; and one where something has no price.
`GET /api/v1/budgets/{id}` tells how it stands now, `…/alerts` what was told, and what couldn't be.

```json
{"alert_id": "…", "type": "budget.threshold_reached", "budget": {"id": "…", "name": "Logs", "metric": "month_cost"},
 "scenario": {"id": "…", "name": "Checkout"}, "threshold_percent": 80, "amount": "812.40", "limit": "1000",
 "complete": true, "month": "2026-11", "raised_at": "2026-11-25T12:00:00+00:00"}
```

is posted to `webhook_url`, never to a private address, and sent to `emails` (setting `MOCKUPAWS_SMTP_URL`); what fails
is tried again for two hours, with the same `alert_id` ([ADR 0048](adr/0048-an-alert-is-a-row-before-it-is-told.md)).

The answer that sets the URL shows `webhook_secret`, once; a PATCH with `"new_webhook_secret": true` makes another. Each
post carries `Mockupaws-Signature: t=<epoch s>,v1=<hex>`, the HMAC-SHA256 of time, dot and body under it
([ADR 0053](adr/0053-webhooks-are-signed.md)):

```python
def is_ours(secret: str, header: str, body: bytes) -> bool:
    sent_at, _, given = header.removeprefix("t=").partition(",v1=")
    if not sent_at.isdigit() or abs(time.time() - int(sent_at)) > 300:
        return False  # somebody may be sending an old one again
    expected = hmac.digest(secret.encode(), sent_at.encode() + b"." + body, "sha256").hex()
    return hmac.compare_digest(expected, given)
```

## In a build

`--baseline` compares with a kept estimate and prints the difference; `--fail-above` makes it exit with code 3 where
the likely total is by more percent above the baseline's, or where something has lost its price. Lines that name no
time are compared by the million.

```yaml
# .github/workflows/cost.yml
name: cost
on: pull_request
jobs:
  cost:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "3.12"}
      - run: pip install git+https://git.example.com/mockupaws    # your copy of this project
      - run: make test-with-logs            # whatever writes the logs of a known load to build/app.log
      - run: mockupaws estimate build/app.log --architecture cost/architecture.json
               --baseline cost/baseline.json --fail-above 5% --per-million-lines
```

`cost/baseline.json` is made once, and anew where a dearer release is meant: `mockupaws estimate build/app.log
--architecture cost/architecture.json --save cost/baseline.json`. With `--json` the same comes as one object:
`comparison.percent`, `comparison.exceeded`, `comparison.change.items`.
"""


def quantities() -> Quantities:
    """A day of 2.4 million lines, most of them from 8 to 20 o'clock; every thousandth is large."""
    volumes = {START + 3600 * hour: 160_000 if 8 <= hour < 20 else 40_000 for hour in range(24)}
    entries = sum(volumes.values())
    large = entries // 1000
    request = [90_000, *([300] * 999)]
    batched = {batch: chunks * large for batch, chunks in count_batched_requests(request).items()}
    assert set(batched) == set(BATCH_SIZES)
    return Quantities(
        requests=large,
        entries=entries,
        size_bytes=sum(request) * large,
        tokens=entries * 75,
        sqs_blocks=sum(count_sqs_blocks(request)) * large,
        sqs_batched=batched,
        first_minute=START,
        last_minute=START + 86_400 - 60,
        active_minutes=1440,
        volumes=volumes,
    )


def render() -> str:
    architecture = changed_architecture(Architecture(), ARCHITECTURE)
    measured = quantities()
    month = project_month(measured, architecture.growth)
    costs = bill(measured, architecture, BOOK, month)
    assert costs.complete
    advice = suggestions(measured, architecture, BOOK, month)[:4]
    moved = influences(measured, architecture, BOOK, month)[:5]
    average = sum(SIZES) / len(SIZES)
    parts = [
        _HEAD,
        "| size in bytes | ceil(size / 64 KiB) |\n|--:|--:|\n",
        *(f"| {size:,} | {ceil(size / CHUNK)} |\n" for size in SIZES),
        f"| **sum** | **{sum(count_sqs_blocks(SIZES))}** |\n",
        f"| average {average:,.1f}: ceil(average / 64 KiB) × {len(SIZES)} | {ceil(average / CHUNK) * len(SIZES)} |\n",
        f"\nIn calls of up to ten messages the same lines are {count_batched_requests(SIZES)[10]} requests.\n",
        "\n## An example\n\n",
        f"A day of {measured.entries:,} lines ({measured.size_bytes:,} bytes, {measured.tokens:,} tokens of "
        f"cl100k_base, "
        f"{measured.sqs_blocks:,} chunks of 64 KiB one by one, {measured.sqs_batched[10]:,} in calls of ten), in "
        f"{measured.requests:,} requests; four times as many an hour from 8 to 20 o'clock as by night.\n\n```json\n",
        json.dumps(ARCHITECTURE, indent=1),
        "\n```\n",
        _table(costs.month, f"A month like it in {costs.region}, in {costs.currency}, prices of {costs.price_book}"),
        f"\nLow and high months have {costs.projection.relative_error * 100:.2f} % less and more traffic than the "
        f"likely one, from the spread of {costs.projection.stretches} {costs.projection.stretch}. One line of it by "
        f"hand: {_by_hand(costs.month)}\n",
        "\nWhat it rests on:\n\n",
        *(f"- {assumption}\n" for assumption in costs.assumptions),
        "\nPrice rows used:\n\n| row | price | unit | effective | read from | agrees |\n|---|--:|---|---|---|--:|\n",
        *dict.fromkeys(_row(item.price.row) for item in costs.month.items),
        "\n## What moves it, what to change\n\n",
        "Each input is raised by a tenth, alone (`--suggest`, `GET …/costs/sensitivity`):\n\n",
        "| input | from | to | a month | % for each % |\n|---|--:|--:|--:|--:|\n",
        *(
            f"| `{i.input}` | {i.before.normalize():,f} | {i.after.normalize():,f} | {i.month_change:+,.2f} | "
            f"{i.elasticity:+} |\n"
            for i in moved
        ),
        "\nChanges by what they save (`GET …/costs/suggestions`), each with its arithmetic and a caution; `change` "
        "can be sent to `POST …/what-if`, and `GET …/costs/compare?with=` puts two scenarios side by side:\n\n",
        *(
            f"- **{s.title}**: {s.saves.likely:,.2f} a month. {'; '.join(s.arithmetic)}. ({s.caution})\n"
            for s in advice
        ),
        _RANGE,
        "\n## Architectures\n\n",
        "A scenario's architecture is a document of parts; one that isn't `used` costs nothing. Each change makes a "
        "new version (`GET …/versions`), and stands in the audit log. `GET /api/v1/presets`, `--preset`:\n\n",
        "| preset | differs from the default by |\n|---|---|\n",
        *(f"| `{name}` | `{json.dumps(change)}` |\n" for name, change in PRESETS.items()),
        "\n| part | fields and defaults |\n|---|---|\n",
        *(f"| `{name}` | {_fields(part)} |\n" for name, part in _parts()),
        _TAIL,
    ]
    return "".join(parts)


def _table(estimate: Estimate, title: str) -> str:
    lines = [
        f"\n{title}:\n\n| | quantity | formula | unit price | low | likely | high |\n|---|--:|---|--:|--:|--:|--:|\n"
    ]
    for item in estimate.items:
        mark = " (estimated)" if item.estimated else ""
        quantity = item.quantity.likely
        places = 0 if quantity == quantity.to_integral_value() else 4
        amounts = " | ".join(f"{amount:,.4f}" for amount in (item.amount.low, item.amount.likely, item.amount.high))
        lines.append(
            f"| {item.service} {item.name}{mark} | {quantity:,.{places}f} | {item.formula} | "
            f"{item.unit_price:f} / {item.unit} | {amounts} |\n"
        )
    total = estimate.total
    lines.append(f"| **total** | | | | **{total.low:,.2f}** | **{total.likely:,.2f}** | **{total.high:,.2f}** |\n")
    return "".join(lines)


def _by_hand(estimate: Estimate) -> str:
    send = next(item for item in estimate.items if item.name == "send")
    quantity = send.quantity.likely
    by_hand = quantity * send.unit_price / Decimal(1_000_000)
    assert by_hand == send.amount.likely
    return f"{quantity:,f} requests to send × {send.unit_price:f} / 1,000,000 = {by_hand:,.6f}."


def _row(row_id: str) -> str:
    row = next(row for row in BOOK.rows if row.id == row_id)
    return (
        f"| `{row.id}` | {row.price:f} | {row.unit} | {row.effective_date} | [{row.taken_from}]({row.source}) | "
        f"{len(row.agrees_with)} |\n"
    )


def _parts() -> list[tuple[str, type[msgspec.Struct]]]:
    fields = msgspec.structs.fields(Architecture)
    own = [field for field in fields if not (isinstance(field.type, type) and issubclass(field.type, msgspec.Struct))]
    return [
        *((field.name, field.type) for field in fields if field not in own),
        ("on its own", msgspec.defstruct("Own", [(f.name, f.type, f.default) for f in own], kw_only=True)),
    ]


def _fields(part: type[msgspec.Struct]) -> str:
    document = bill_document(part())
    described = []
    for field in msgspec.structs.fields(part):
        choices = [choice for choice in get_args(field.type) if isinstance(choice, str)]
        value = json.dumps(document[field.name]).strip('"')
        described.append(f"`{field.name}` {' or '.join(choices) or value}".strip())
    return ", ".join(described)


def main() -> None:
    written = render()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text() != written:
            raise SystemExit(f"{PAGE.name} isn't as it would be written: run scripts/write_costs_page.py")
        return
    PAGE.write_text(written)


if __name__ == "__main__":
    main()
