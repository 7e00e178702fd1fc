"""Everything a bill was made of, in one document: computed again from it, the bill is the same to the last digit.

The document holds the measured quantities, the architecture and the price rows that were used, so that neither later
traffic, nor a changed scenario, nor a newer price book changes what was estimated. Its id is a digest of it: the same
estimate made twice has one id, and an altered document has another.
"""

from __future__ import annotations

import hashlib

import msgspec

from mockupaws.cost_model.architecture import Architecture
from mockupaws.cost_model.bill import Bill, bill, usage_of
from mockupaws.cost_model.prices import PriceBook
from mockupaws.cost_model.quantities import Quantities, measured_traffic
from mockupaws.runtime.errors import PermanentError

ID_PREFIX = "est_"


class SnapshotError(PermanentError):
    """What was read is no snapshot of an estimate, or not the one its id says."""


class Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    format: int = 1
    architecture: Architecture
    quantities: Quantities
    prices: PriceBook
    """Only the rows of the meters that were used, in the architecture's region."""

    @property
    def estimate_id(self) -> str:
        return ID_PREFIX + hashlib.sha256(self.encode()).hexdigest()[:32]

    def encode(self) -> bytes:
        return msgspec.json.encode(self)

    def bill(self) -> Bill:
        return bill(self.quantities, self.architecture, self.prices)


def snapshot_of(quantities: Quantities, architecture: Architecture, prices: PriceBook) -> Snapshot:
    meters = {usage.meter for usage in usage_of(measured_traffic(quantities), architecture)}
    rows = [row for row in prices.rows if row.region == architecture.region and row.meter in meters]
    free = [quantity for quantity in prices.free if meters & set(quantity.meters)]
    used = msgspec.structs.replace(prices, rows=rows, free=free)
    return Snapshot(architecture=architecture, quantities=quantities, prices=used)


def decode_snapshot(document: bytes, estimate_id: str | None = None) -> Snapshot:
    """Raises SnapshotError, also where the document isn't the one of this id."""
    try:
        snapshot = msgspec.json.decode(document, type=Snapshot)
    except msgspec.MsgspecError as error:
        raise SnapshotError(f"no snapshot of an estimate: {error}") from None
    if estimate_id is not None and snapshot.estimate_id != estimate_id:
        raise SnapshotError(f"the snapshot was altered: its id is {snapshot.estimate_id}, not {estimate_id}")
    return snapshot
