"""The closed list of what a finding can be. A type's position is its bit in `pii_mask`: append, never reorder."""

from __future__ import annotations

from functools import lru_cache

PII_TYPES: tuple[str, ...] = (
    "EMAIL",
    "PHONE",
    "CREDIT_CARD",
    "IBAN",
    "US_SSN",
    "IT_FISCAL_CODE",
    "UK_NINO",
    "FR_NIR",
    "DE_TAX_ID",
    "ES_ID",
    "PASSPORT",
    "DATE_OF_BIRTH",
    "IPV4",
    "IPV6",
    "MAC",
    "GEO",
    "AWS_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "JWT",
    "PRIVATE_KEY",
    "API_TOKEN",
    "PASSWORD",
    "URL_CREDENTIALS",
    "PERSON",
)

PII_BIT: dict[str, int] = {name: 1 << position for position, name in enumerate(PII_TYPES)}


@lru_cache(maxsize=4096)
def types_of_mask(pii_mask: int) -> tuple[str, ...]:
    """The names of the bits set in `pii_mask`, in the list's order."""
    return tuple(name for name, bit in PII_BIT.items() if pii_mask & bit)
