"""What a request would store and cost: the processor's own analysis, and the bill of the default architecture."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from mockupaws.cost_model.architecture import Architecture
from mockupaws.cost_model.bill import bill, bill_document
from mockupaws.cost_model.prices import current_prices
from mockupaws.cost_model.quantities import quantities_of_deltas
from mockupaws.schemas.pii_types import types_of_mask
from mockupaws.schemas.requests import IngestRequest
from mockupaws.stream_processors.analyse_entries import Analyser


@cache
def _analyser() -> Analyser:
    # Made at the first dry run: a process that never sees one saves its memory.
    return Analyser()


def dry_run(request: IngestRequest) -> dict[str, Any]:
    """The redacted entries with their findings and measures, and the bill of exactly these entries."""
    analyser = _analyser()
    deltas = analyser.analyse_request(request).deltas
    prices = bill(quantities_of_deltas(deltas), Architecture(), current_prices())
    entries = []
    for index, entry in enumerate(analyser.analyse_entries(request.entries, encoding=request.token_encoding)):
        entries.append(
            {
                "index": index,
                "message": entry.message,
                "source": entry.source,
                "level": entry.level,
                "attributes": None if entry.attributes is None else msgspec.json.decode(entry.attributes),
                "pii_types": types_of_mask(entry.pii_mask),
                "findings": entry.findings,
                "size_bytes": entry.size_bytes,
                "token_count": entry.token_count,
                "sqs_blocks": entry.sqs_blocks,
            }
        )
    return {"entries": entries, "cost": bill_document(prices)}
