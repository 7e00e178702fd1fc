"""AWS's public price list: offer files (one for each service and region) read into rows of a price book. Pure.

An offer file holds products by SKU, and for each its on-demand terms with one price dimension a tier. A product is
found by its usage type, which AWS prefixes with the region's short name; two products of one usage type with
different prices are no price at all, since nothing says which is meant.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import msgspec

from mockupaws.cost_model.prices import PriceBook, PriceRow
from mockupaws.runtime.errors import PermanentError


class OfferFileError(PermanentError):
    """What was read is no offer file or index of AWS's price list."""


class Meter(NamedTuple):
    name: str
    offer: str
    usage_types: tuple[str, ...]
    """As AWS calls it, without the region's prefix: any of these."""
    unit: str
    unit_quantity: int = 1


_MILLION = 1_000_000
METERS: tuple[Meter, ...] = (
    Meter("sqs.standard.requests", "AWSQueueService", ("Requests-RBP", "Requests-Tier1"), "1M requests", _MILLION),
    Meter("sqs.fifo.requests", "AWSQueueService", ("Requests-FIFO-RBP", "Requests-FIFO-Tier1"), "1M requests",
          _MILLION),
    Meter("lambda.x86_64.requests", "AWSLambda", ("Request",), "1M requests", _MILLION),
    Meter("lambda.arm64.requests", "AWSLambda", ("Request-ARM",), "1M requests", _MILLION),
    Meter("lambda.x86_64.gb_seconds", "AWSLambda", ("Lambda-GB-Second",), "GB-second"),
    Meter("lambda.arm64.gb_seconds", "AWSLambda", ("Lambda-GB-Second-ARM",), "GB-second"),
    Meter("lambda.x86_64.ephemeral_gb_seconds", "AWSLambda", ("Lambda-Storage-GB-Second",), "GB-second"),
    Meter("lambda.arm64.ephemeral_gb_seconds", "AWSLambda", ("Lambda-Storage-GB-Second-ARM",), "GB-second"),
    Meter("s3.standard.gb_months", "AmazonS3", ("TimedStorage-ByteHrs",), "GB-month"),
    Meter("s3.standard.put_requests", "AmazonS3", ("Requests-Tier1",), "1K requests", 1000),
    Meter("s3.standard.get_requests", "AmazonS3", ("Requests-Tier2",), "1K requests", 1000),
    Meter("s3.standard_ia.gb_months", "AmazonS3", ("TimedStorage-SIA-ByteHrs",), "GB-month"),
    Meter("s3.standard_ia.put_requests", "AmazonS3", ("Requests-SIA-Tier1",), "1K requests", 1000),
    Meter("s3.standard_ia.get_requests", "AmazonS3", ("Requests-SIA-Tier2",), "1K requests", 1000),
    Meter("s3.glacier_flexible.gb_months", "AmazonS3", ("TimedStorage-GlacierByteHrs",), "GB-month"),
    Meter("s3.deep_archive.gb_months", "AmazonS3", ("TimedStorage-GDA-ByteHrs",), "GB-month"),
    Meter("cloudwatch_logs.ingested_gb", "AmazonCloudWatch", ("DataProcessing-Bytes",), "GB"),
    Meter("cloudwatch_logs.stored_gb_months", "AmazonCloudWatch", ("TimedStorage-ByteHrs",), "GB-month"),
    Meter("cloudwatch_logs.scanned_gb", "AmazonCloudWatch", ("DataScanned-Bytes",), "GB"),
    Meter("api_gateway.http.requests", "AmazonApiGateway", ("ApiGatewayHttpRequest",), "1M requests", _MILLION),
    Meter("api_gateway.rest.requests", "AmazonApiGateway", ("ApiGatewayRequest",), "1M requests", _MILLION),
    Meter("data_transfer.out_gb", "AWSDataTransfer", ("DataTransfer-Out-Bytes",), "GB"),
    Meter("athena.scanned_tb", "AmazonAthena", ("DataScannedInTB",), "TB"),
)  # fmt: skip
"""Meters whose prices stand in the price list; those of Bedrock's models are taken from genai-prices."""

OFFERS: tuple[str, ...] = tuple(dict.fromkeys(meter.offer for meter in METERS))

REGION_PREFIXES: dict[str, tuple[str, ...]] = {
    "us-east-1": ("", "USE1-"),
    "us-east-2": ("USE2-",),
    "us-west-1": ("USW1-",),
    "us-west-2": ("USW2-",),
    "ca-central-1": ("CAN1-",),
    "sa-east-1": ("SAE1-",),
    "eu-west-1": ("EU-", "EUW1-"),
    "eu-west-2": ("EUW2-",),
    "eu-west-3": ("EUW3-",),
    "eu-central-1": ("EUC1-",),
    "eu-central-2": ("EUC2-",),
    "eu-north-1": ("EUN1-",),
    "eu-south-1": ("EUS1-",),
    "ap-south-1": ("APS3-",),
    "ap-southeast-1": ("APS1-",),
    "ap-southeast-2": ("APS2-",),
    "ap-northeast-1": ("APN1-",),
    "ap-northeast-2": ("APN2-",),
    "ap-northeast-3": ("APN3-",),
}
"""What AWS puts before a usage type, by region."""


class _Product(msgspec.Struct):
    attributes: dict[str, str] = msgspec.field(default_factory=dict)


class _Dimension(msgspec.Struct, rename="camel"):
    begin_range: str
    end_range: str
    price_per_unit: dict[str, str]


class _Term(msgspec.Struct, rename="camel"):
    effective_date: str
    price_dimensions: dict[str, _Dimension]


class _Terms(msgspec.Struct):
    on_demand: dict[str, dict[str, _Term]] = msgspec.field(name="OnDemand", default_factory=dict)


class _OfferFile(msgspec.Struct, rename="camel"):
    offer_code: str
    publication_date: str
    products: dict[str, _Product]
    terms: _Terms


class _Region(msgspec.Struct, rename="camel"):
    current_version_url: str


class _RegionIndex(msgspec.Struct):
    regions: dict[str, _Region]


@dataclass(slots=True)
class OfferPrices:
    rows: list[PriceRow] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    """Meters with several prices, or one that can't be read; each with why."""


def version_paths(region_index: bytes) -> dict[str, str]:
    """Path of the current offer file by region. Raises OfferFileError."""
    try:
        index = msgspec.json.decode(region_index, type=_RegionIndex)
    except msgspec.MsgspecError as error:
        raise OfferFileError(f"no region index of a price list: {error}") from None
    return {region: entry.current_version_url for region, entry in index.regions.items()}


def read_offer(content: bytes, region: str, source: str, checked_date: str) -> OfferPrices:
    """The rows of all METERS this file has in the region. Raises OfferFileError where it is no offer file."""
    try:
        offer = msgspec.json.decode(content, type=_OfferFile)
    except msgspec.MsgspecError as error:
        raise OfferFileError(f"no offer file of a price list: {error}") from None
    skus: dict[str, list[str]] = {}
    for sku, product in offer.products.items():
        skus.setdefault(product.attributes.get("usagetype", ""), []).append(sku)
    found = OfferPrices()
    for meter in METERS:
        if meter.offer != offer.offer_code:
            continue
        named = [prefix + usage for usage in meter.usage_types for prefix in REGION_PREFIXES.get(region, ())]
        tiers = {
            _tiers(offer, sku): usage_type
            for usage_type in named
            for sku in skus.get(usage_type, ())
            if offer.terms.on_demand.get(sku)
        }
        if len(tiers) > 1:
            found.unclear.append(f"{meter.name} in {region}: {len(tiers)} different prices")
        for (effective_date, dimensions), usage_type in list(tiers.items()) if len(tiers) == 1 else ():
            try:
                found.rows += _rows(meter, region, source, usage_type, offer, effective_date, dimensions, checked_date)
            except (InvalidOperation, ValueError, KeyError) as error:
                found.unclear.append(f"{meter.name} in {region}: {type(error).__name__}")
    return found


_Dimensions = tuple[tuple[str, str, str], ...]


def _tiers(offer: _OfferFile, sku: str) -> tuple[str, _Dimensions]:
    """Begin, end and price in US dollars of each tier of a product; and since when."""
    terms = offer.terms.on_demand[sku].values()
    dimensions = sorted(
        (dimension.begin_range, dimension.end_range, dimension.price_per_unit.get("USD", ""))
        for term in terms
        for dimension in term.price_dimensions.values()
    )
    return max(term.effective_date for term in terms)[:10], tuple(dimensions)


def _rows(
    meter: Meter,
    region: str,
    source: str,
    usage_type: str,
    offer: _OfferFile,
    effective_date: str,
    dimensions: _Dimensions,
    checked_date: str,
) -> list[PriceRow]:
    rows = []
    for begin, end, price in dimensions:
        each = Decimal(price)
        if not each.is_finite() or each < 0:
            raise ValueError(f"a price of {price}")
        start = int(begin)
        rows.append(
            PriceRow(
                id=f"{meter.name}.{region}" + (f".from_{start}" if start else ""),
                meter=meter.name,
                region=region,
                unit=meter.unit,
                unit_quantity=meter.unit_quantity,
                from_quantity=start,
                to_quantity=None if end == "Inf" else int(end),
                price=Decimal(format((each * meter.unit_quantity).normalize(), "f")),
                source=source,
                usage_type=usage_type,
                taken_from=f"AWS price list, {offer.offer_code}, published {offer.publication_date[:10]}",
                effective_date=effective_date,
                checked_date=checked_date,
            )
        )
    return rows


def merged_book(book: PriceBook, rows: Iterable[PriceRow], name: str, checked_date: str) -> PriceBook:
    """The book with these rows in place of what it had of their meters and regions.

    What other public data agreed with the old price is kept where the price is the same.
    """
    new = list(rows)
    replaced = {(row.meter, row.region) for row in new}
    agreed = {(row.id, row.price, row.from_quantity): (row.taken_from, *row.agrees_with) for row in book.rows}
    kept = [row for row in book.rows if (row.meter, row.region) not in replaced]
    checked = [
        msgspec.structs.replace(row, agrees_with=agreed.get((row.id, row.price, row.from_quantity), ())) for row in new
    ]
    return PriceBook(
        name=name,
        checked_date=checked_date,
        currency=book.currency,
        rows=sorted([*kept, *checked], key=lambda row: (row.meter, row.region, row.from_quantity)),
        free=book.free,
    )
