"""Reads AWS's price list over HTTPS: one region index and some regions' files of each offer.

Each file is kept as it was last read. Where the price list can't be reached the kept file stands in for it, with the
day it is of; after some failures in a row nothing more is asked for (circuit breaker), so that an outage costs
seconds and not minutes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mockupaws.cost_model.offer_files import OfferFileError, OfferPrices, read_offer, version_paths
from mockupaws.runtime.circuit_breaker import BreakerLimits, CircuitBreaker, CircuitOpenError
from mockupaws.runtime.outgoing_url import OutgoingCallError, OutgoingCalls
from mockupaws.runtime.replace_file import replace_file

MAX_OFFER_BYTES = 64 * 1024 * 1024
"""A region's file of the services we price has up to 2 MB; AWSDataTransfer the most."""
OFFER_SECONDS = 60.0
FAILURE_THRESHOLD = 3


class PriceListAnswerError(OutgoingCallError):
    """The price list answered, but not with a file."""


@dataclass(slots=True)
class Fetched:
    prices: list[OfferPrices] = field(default_factory=list)
    fresh: int = 0
    """Files read now."""
    stale: list[str] = field(default_factory=list)
    """Files taken from an earlier reading: which, and of which day."""
    missing: list[str] = field(default_factory=list)
    """Files that could be read neither now nor before: which, and why. Their prices stay as they were."""


class PriceList:
    """`base_url`: where the price list is; `folder`: where its files are kept."""

    def __init__(self, calls: OutgoingCalls, base_url: str, folder: Path) -> None:
        self._base_url = base_url.rstrip("/")
        self._folder = folder
        self._get = CircuitBreaker(
            "price_source",
            lambda error: isinstance(error, OutgoingCallError),
            BreakerLimits(failure_threshold=FAILURE_THRESHOLD),
        ).guard(self._get_once)
        self._calls = calls

    async def fetch(self, offers: Iterable[str], regions: Iterable[str], today: str) -> Fetched:
        found = Fetched()
        wanted = tuple(regions)
        for offer in offers:
            index, _ = await self._file(f"/offers/v1.0/aws/{offer}/current/region_index.json", f"{offer}.index", found)
            try:
                paths = version_paths(index) if index is not None else {}
            except OfferFileError as error:
                found.missing.append(f"{offer}: {error}")
                continue
            for region in wanted:
                if region in paths:
                    await self._prices(offer, region, paths[region], found, today)
        return found

    async def _prices(self, offer: str, region: str, path: str, found: Fetched, today: str) -> None:
        content, read_on = await self._file(path, f"{offer}.{region}", found)
        if content is None:
            return
        try:
            found.prices.append(read_offer(content, region, self._base_url + path, read_on or today))
        except OfferFileError as error:
            found.missing.append(f"{offer} in {region}: {error}")

    async def _file(self, path: str, name: str, found: Fetched) -> tuple[bytes | None, str | None]:
        """The content, and the day it was read on where that isn't now."""
        kept = self._folder / f"{name}.json"
        try:
            content = await self._get(self._base_url + path)
        except (OutgoingCallError, CircuitOpenError) as error:
            if not kept.exists():
                found.missing.append(f"{name}: {error}")
                return None, None
            read_on = datetime.fromtimestamp(kept.stat().st_mtime, UTC).date().isoformat()
            found.stale.append(f"{name}, read on {read_on}")
            return kept.read_bytes(), read_on
        found.fresh += 1
        replace_file(kept, content)
        return content, None

    async def _get_once(self, url: str) -> bytes:
        answered = await self._calls.call("GET", url, headers={"Accept-Encoding": "identity"})
        if answered.status != 200:
            raise PriceListAnswerError(f"the price list answers with status {answered.status}")
        return answered.body
