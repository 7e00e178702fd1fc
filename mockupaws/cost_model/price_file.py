"""Which price book is in force: the file `mockupaws prices update` wrote, else the newest of this release."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import msgspec

from mockupaws.cost_model.prices import PriceBook, current_prices, decode_price_book
from mockupaws.runtime.errors import PermanentError
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import get_logger

_log = get_logger(__name__)


class PriceFileError(PermanentError):
    """A file that should hold a price book can't be read or holds none."""


def price_file(settings: Settings) -> Path:
    return Path(settings.price_book) if settings.price_book else settings.home / "prices" / "book.json"


def prices_in_force(settings: Settings) -> PriceBook:
    """Looks at the file at each call and reads it when it has changed.

    A file that can't be read is logged and the release's own book taken: prices of a known day are better than none,
    and every bill names its book.
    """
    path = price_file(settings)
    try:
        stat = os.stat(path)
        return _read(path, stat.st_mtime_ns, stat.st_size)
    except FileNotFoundError:
        return current_prices()
    except (OSError, PriceFileError) as error:
        _log.warning("price_book_unreadable", error=type(error).__name__)
        return current_prices()


def read_price_file(path: Path) -> PriceBook:
    """Raises PriceFileError."""
    try:
        return decode_price_book(path.read_bytes())
    except (OSError, msgspec.MsgspecError) as error:
        raise PriceFileError(f"{path} holds no price book: {error}") from None


@lru_cache(maxsize=4)
def _read(path: Path, changed_ns: int, size: int) -> PriceBook:
    return read_price_file(path)
