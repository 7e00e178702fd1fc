"""UK_NINO, FR_NIR, DE_TAX_ID and ES_ID: numbers states give to persons, each with its own form and check."""

from __future__ import annotations

import re

from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fr import nir

from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_NINO_AT_END = re.compile(
    rb"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][ ]?[0-9]{2}([ -]?)[0-9]{2}\1[0-9]{2}[ ]?[A-D]\Z", re.IGNORECASE
)
_NINO_NEVER_ISSUED = (b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ")
_PART_BEFORE = re.compile(rb"[0-9A-Za-z][-._/]\Z|[0-9] \Z")
_PART_AFTER = re.compile(rb"[-._/][0-9A-Za-z]|[0-9A-Za-z_]")


def check_nino(data: bytes, end: int) -> Span | None:
    found = _NINO_AT_END.search(data, max(0, end - 14), end)
    if found is None or found[0][:2].upper() in _NINO_NEVER_ISSUED or _PART_AFTER.match(data, end):
        return None
    return None if _PART_BEFORE.search(data, max(0, found.start() - 2), found.start()) else found.span()


_NIR_AT_END = re.compile(rb"[12](?:[ .]?[0-9]{2}){2}[ .]?(?:[0-9]{2}|2[ABab])(?:[ .]?[0-9]{3}){2}[ .]?/?[ ]?[0-9]{2}\Z")
_NIR_LONGEST = 23


def check_nir(data: bytes, end: int) -> Span | None:
    found = _NIR_AT_END.search(data, max(0, end - _NIR_LONGEST), end)
    if found is None or data[found.start() - 1 : found.start()].isalnum() or _PART_AFTER.match(data, end):
        return None
    if _PART_BEFORE.search(data, max(0, found.start() - 2), found.start()):
        return None
    return found.span() if nir.is_valid(found[0].translate(None, b" ./").decode("ascii")) else None


_TAX_ID_AT_END = re.compile(rb"[0-9](?:[ /-]?[0-9]){10}\Z")


def check_tax_id(data: bytes, end: int) -> Span | None:
    found = _TAX_ID_AT_END.search(data, max(0, end - 16), end)
    if found is None or data[end : end + 1].isalnum() or data[found.start() - 1 : found.start()].isalnum():
        return None
    return found.span() if idnr.is_valid(found[0].translate(None, b" /-").decode("ascii")) else None


_SPANISH_AT_END = re.compile(
    rb"(?<![0-9A-Za-z_])(?:[0-9]{8}|[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}|[XYZ][ -]?[0-9]{7})[ -]?[A-Z]\Z", re.IGNORECASE
)


def check_spanish_id(data: bytes, end: int) -> Span | None:
    found = _SPANISH_AT_END.search(data, max(0, end - 13), end)
    if found is None or _PART_AFTER.match(data, end):
        return None
    if _PART_BEFORE.search(data, max(0, found.start() - 2), found.start()):
        return None
    number = found[0].translate(None, b" .-").decode("ascii")
    return found.span() if dni.is_valid(number) or nie.is_valid(number) else None


UK_NINO = Detector(
    pii_type="UK_NINO",
    why="National insurance number: names a person in work and taxes. Prefixes that were never issued are refused.",
    expressions=(
        Expression(
            "nino.upper_case",
            r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][ ]?[0-9]{2}[ -]?[0-9]{2}[ -]?[0-9]{2}[ ]?[A-D]\b",
            check_nino,
            0.9,
        ),
        Expression(
            "nino.named",
            r"(?:nino|\bni\b|national.insurance)[^0-9\x00\n,;]{0,24}\b[A-Z]{2}[ ]?[0-9]{2}[ -]?[0-9]{2}[ -]?[0-9]{2}[ ]?[A-D]\b",
            check_nino,
            0.95,
            caseless=True,
        ),
    ),
    positives=(
        ("nino=AB123456C ok", "AB123456C"),
        ("NI number: JG 10 37 59 A", "JG 10 37 59 A"),
        ('{"nino":"jg103759a"}', "jg103759a"),
    ),
    negatives=("nino=GB123456C", "part AB123456E", "nino [UK_NINO]", "serial X-AB123456C"),
)

FR_NIR = Detector(
    pii_type="FR_NIR",
    why="Numéro de sécurité sociale: names a person, tells sex, birth month and place. The key is 97 less the rest by 97; "
    "Corsica's 2A and 2B count as 19 and 18.",
    expressions=(
        Expression(
            "nir.keyed",
            r"\b[12][ .]?[0-9]{2}[ .]?(?:0[1-9]|1[0-2]|[2-9][0-9])[ .]?(?:[0-9]{2}|2[ABab])[ .]?[0-9]{3}[ .]?[0-9]{3}[ .]?/?[ ]?"
            r"[0-9]{2}\b",
            check_nir,
            0.95,
        ),
    ),
    positives=(
        ("NIR 295109912611193", "295109912611193"),
        ("sécu : 2 95 10 99 126 111 93", "2 95 10 99 126 111 93"),
        ('{"nir":"253072B07300470"}', "253072B07300470"),
    ),
    negatives=("NIR 295109912611194", "id 2951099126111930", "nir [FR_NIR]", "at 1.29510991261119e+15"),
)

DE_TAX_ID = Detector(
    pii_type="DE_TAX_ID",
    why="Steuerliche Identifikationsnummer: names a person for life. Eleven digits mean little alone: a name must "
    "precede them, and repetition and check digit must agree.",
    expressions=(
        Expression(
            "tax_id.de",
            r"(?:steuer|\bidnr|\bid-?nr|\btin\b|tax[ _-]?(?:id|number|no|payer)|\bst-?nr|identifikationsnummer)[^0-9\x00\n;]{0,30}[0-9]"
            r"(?:[ /-]?[0-9]){10}\b",
            check_tax_id,
            0.95,
            caseless=True,
        ),
    ),
    positives=(
        ("Steuer-ID: 36574261809", "36574261809"),
        ('{"steuerId":"36 574 261 809"}', "36 574 261 809"),
        ("IdNr. 36574261809 fehlt", "36574261809"),
    ),
    negatives=("Steuer-ID: 36574261890", "order 36574261809", "steuer_id=[DE_TAX_ID]", "taxi 36574261809"),
)

ES_ID = Detector(
    pii_type="ES_ID",
    why="DNI of a Spaniard or NIE of a foreigner. The letter is the number's rest by 23.",
    expressions=(
        Expression(
            "dni.letter",
            r"\b(?:[0-9]{8}|[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}|[XYZ][ -]?[0-9]{7})[ -]?[A-HJ-NP-TV-Z]\b",
            check_spanish_id,
            0.9,
        ),
        Expression(
            "dni.named",
            r"(?:\bdni|\bnie|\bnif|documento)[^0-9\x00\n;]{0,20}[0-9]{7,8}[ -]?[A-HJ-NP-TV-Z]\b",
            check_spanish_id,
            0.95,
            caseless=True,
        ),
    ),
    positives=(
        ("DNI 54362315K alta", "54362315K"),
        ("nie: X-2482300-W", "X-2482300-W"),
        ('{"nif":"54362315k"}', "54362315k"),
        ("titular 54.362.315-K", "54.362.315-K"),
    ),
    negatives=("DNI 54362315Z", "part 154362315K", "dni [ES_ID]", "sha 54362315K9"),
)
