"""The price book is read anew from a server of AWS's format: fresh, from the last reading, or left as it was."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mockupaws.cli.main import app
from mockupaws.cost_model.offer_files import OfferFileError, read_offer, version_paths
from mockupaws.cost_model.prices import current_prices, decode_price_book

D = Decimal
REGION = "us-east-1"


def product(usage_type: str, **attributes: str) -> dict[str, Any]:
    return {
        "productFamily": "API Request",
        "attributes": {"servicecode": "x", "regionCode": REGION, "usagetype": usage_type, **attributes},
    }


def term(sku: str, *tiers: tuple[str, str, str]) -> dict[str, Any]:
    return {
        f"{sku}.JRTCKXETXF": {
            "offerTermCode": "JRTCKXETXF",
            "sku": sku,
            "effectiveDate": "2026-11-01T00:00:00Z",
            "priceDimensions": {
                f"{sku}.JRTCKXETXF.{number}": {
                    "rateCode": f"{sku}.JRTCKXETXF.{number}",
                    "description": "so much a request",
                    "beginRange": begin,
                    "endRange": end,
                    "unit": "Requests",
                    "pricePerUnit": {"USD": price},
                    "appliesTo": [],
                }
                for number, (begin, end, price) in enumerate(tiers)
            },
            "termAttributes": {},
        }
    }


def offer(code: str, products: dict[str, Any], terms: dict[str, Any]) -> dict[str, Any]:
    return {
        "formatVersion": "v1.0",
        "disclaimer": "This pricing list is for informational purposes only.",
        "offerCode": code,
        "version": "20261120000000",
        "publicationDate": "2026-11-20T00:00:00Z",
        "products": products,
        "terms": {"OnDemand": terms, "Reserved": {}},
    }


SQS = offer(
    "AWSQueueService",
    {
        "STD": product("Requests-RBP", queueType="Standard"),
        "FIFO": product("Requests-FIFO-RBP", queueType="FIFO (first-in, first-out)"),
        "FAIR": product("Requests-Fair-RBP", queueType="Fair"),
        "FREE": product("Global-Requests"),
    },
    {
        "STD": term("STD", ("0", "100000000000", "0.0000004400"), ("100000000000", "Inf", "0.0000003000")),
        "FIFO": term("FIFO", ("0", "Inf", "0.0000005000")),
        "FAIR": term("FAIR", ("0", "Inf", "0.0000001000")),
        "FREE": term("FREE", ("0", "1000000", "0.0000000000")),
    },
)
LAMBDA = offer("AWSLambda", {"L": product("Lambda-GB-Second")}, {"L": term("L", ("0", "Inf", "0.0000200000"))})


@dataclass
class PriceListServer:
    files: dict[str, bytes]
    asked: list[str] = field(default_factory=list)
    status: int = 200
    url: str = ""


@pytest.fixture
def server() -> Iterator[PriceListServer]:
    made = PriceListServer({})
    for code, document in (("AWSQueueService", SQS), ("AWSLambda", LAMBDA)):
        path = f"/offers/v1.0/aws/{code}/20261120000000/{REGION}/index.json"
        index = {"regions": {REGION: {"regionCode": REGION, "currentVersionUrl": path}}}
        made.files[f"/offers/v1.0/aws/{code}/current/region_index.json"] = json.dumps(index).encode()
        made.files[path] = json.dumps(document).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            body = made.files.get(self.path) if made.status == 200 else None
            self.send_response(made.status if body is not None or made.status != 200 else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            return

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    yield made
    listener.shutdown()
    thread.join()
    listener.server_close()


@pytest.fixture
def home(tmp_path: Path, server: PriceListServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOCKUPAWS_HOME", str(tmp_path))
    monkeypatch.setenv("MOCKUPAWS_PRICE_LIST_URL", server.url)
    monkeypatch.setenv("MOCKUPAWS_OUTGOING_ALLOWED_NETWORKS", "127.0.0.0/8")
    return tmp_path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        app(["prices", *arguments])
    return int(ended.value.code or 0)


def test_update_writes_a_book_of_what_the_price_list_says(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("update", "--region", REGION) == 0
    book = decode_price_book((home / "prices" / "book.json").read_bytes())
    standard = book.tiers("sqs.standard.requests", REGION)
    assert [(row.from_quantity, row.price, row.unit) for row in standard] == [
        (0, D("0.44"), "1M requests"),
        (100_000_000_000, D("0.3"), "1M requests"),
    ]
    assert standard[0].effective_date == "2026-11-01"
    assert standard[0].usage_type == "Requests-RBP"
    assert standard[0].source.endswith("/20261120000000/us-east-1/index.json")
    fifo = book.tiers("sqs.fifo.requests", REGION)
    assert [row.price for row in fifo] == [D("0.5")]
    assert fifo[0].agrees_with, "the price is as it was: who agreed before still does"
    assert not standard[0].agrees_with
    assert book.tiers("s3.standard.gb_months", REGION) == current_prices().tiers("s3.standard.gb_months", REGION)
    told = capsys.readouterr().out
    assert "sqs.standard.requests" in told
    assert "+10.00 %" in told
    assert "missing: AmazonS3.index" in told
    assert run("show", "sqs.standard", "--region", REGION) == 0
    assert "0.44" in capsys.readouterr().out


def test_an_outage_takes_the_last_reading_and_says_of_when_it_is(
    home: Path, server: PriceListServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("update", "--region", REGION) == 0
    server.status = 503
    server.asked.clear()
    capsys.readouterr()
    assert run("update", "--region", REGION) == 0
    told = capsys.readouterr().out
    assert "stale: AWSQueueService.us-east-1, read on 20" in told
    assert len(server.asked) == 3, "after three failures in a row the price list isn't asked for any more"
    book = decode_price_book((home / "prices" / "book.json").read_bytes())
    assert book.tiers("sqs.standard.requests", REGION)[0].price == D("0.44")


def test_without_any_reading_the_book_stays_as_it_is(
    home: Path, server: PriceListServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.status = 500
    assert run("update", "--region", REGION) == 1
    assert not (home / "prices" / "book.json").exists()
    assert "stays as it is" in capsys.readouterr().err


def test_two_prices_of_one_usage_type_are_none(home: Path, server: PriceListServer) -> None:
    path = f"/offers/v1.0/aws/AWSLambda/20261120000000/{REGION}/index.json"
    twice = offer(
        "AWSLambda",
        {"A": product("Lambda-GB-Second"), "B": product("Lambda-GB-Second")},
        {"A": term("A", ("0", "Inf", "0.00002")), "B": term("B", ("0", "Inf", "0.00003"))},
    )
    server.files[path] = json.dumps(twice).encode()
    assert run("update", "--region", REGION) == 0
    book = decode_price_book((home / "prices" / "book.json").read_bytes())
    meter = "lambda.x86_64.gb_seconds"
    assert book.tiers(meter, REGION) == current_prices().tiers(meter, REGION)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"offerCode":"AWSLambda"}'])
def test_what_is_no_offer_file_is_refused(content: bytes) -> None:
    with pytest.raises(OfferFileError):
        read_offer(content, REGION, "https://x", "2026-11-25")
    with pytest.raises(OfferFileError):
        version_paths(content)


@pytest.mark.parametrize("price", ["", "free", "NaN", "-1", "Infinity"])
def test_a_price_that_is_no_number_is_no_price(price: str) -> None:
    document = offer("AWSLambda", {"L": product("Lambda-GB-Second")}, {"L": term("L", ("0", "Inf", price))})
    found = read_offer(msgspec.json.encode(document), REGION, "https://x", "2026-11-25")
    assert not found.rows
    assert len(found.unclear) == 1


def test_audit_compares_versions_and_fails_where_asked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("audit") == 0
    assert "rows are stated by other public data" in capsys.readouterr().out
    assert run("update", "--region", REGION) == 0
    capsys.readouterr()
    assert run("audit", "--json", "--fail-above", "5") == 3
    changes = json.loads(capsys.readouterr().out)["changes"]
    assert {"sqs.standard.requests", "lambda.x86_64.gb_seconds"} <= {change["meter"] for change in changes}
    assert run("audit", "nonsense") == 2
    assert "no file and no version" in capsys.readouterr().err


def test_a_region_that_is_none_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("update", "--region", "xx-nowhere-1") == 2
    assert "no such region" in capsys.readouterr().err
