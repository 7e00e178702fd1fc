"""PHONE: international and national numbers, by their form, by a word before them and by the numbering plans."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import phonenumbers

from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span, last_match

_FEWEST, _MOST = 7, 15
_LOOK_BACK = 64
_EXTENSION = re.compile(rb"[ ]?(?:x|ext\.?|poste|int\.)[ ]?[0-9]{1,5}\Z", re.IGNORECASE)
_SHAPE = re.compile(
    rb"(?:\(\+[0-9]{1,3}\)[ ]?|\+ ?)?\(?[0-9]{1,14}\)?(?:(?:[ ./-]|[ ][/-][ ]|[ ](?=\()|(?=\()|(?<=\))[ -]?)\(?[0-9]{1,11}\)?){0,6}"
    rb"(?:[ ]?(?:x|ext\.?|poste|int\.)[ ]?[0-9]{1,5})?",
    re.IGNORECASE,
)
_GROUP_END = re.compile(rb"(?<=[0-9])(?:\)|(?![0-9]))")
_OF_NUMBER = b"0123456789 ().-/+"
_PART_BEFORE = re.compile(rb"[0-9A-Za-z_+/]\Z|[0-9][.,:-]\Z")
_DIGIT_AND_SPACE = re.compile(rb"[0-9] \Z")
_PART_AFTER = re.compile(rb"[0-9A-Za-z_]|[./:-][0-9]")
_GROUP_AFTER = re.compile(rb" [0-9]{2}")
_NO_TELEPHONE = re.compile(
    rb"(?:19|20)[0-9]{2}[./-][0-9]{1,2}[./-][0-9]{1,2}.{0,48}|[0-9]{1,2}[./-][0-9]{1,2}[./-](?:19|20)[0-9]{2}.{0,48}"
    rb"|(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})(?:\.(?!\Z)|\Z)){4}|(?:[1-9][0-9]{0,39}|0)\.[0-9]{1,40}|[0-9]{6,8}-[0-9]{6}"
    rb"|[01][0-9][0-3][0-9]/[0-2][0-9][0-5][0-9][0-5][0-9]"
)
"""Dates, addresses, floats."""
_THOUSANDS = re.compile(rb"[0-9]{1,3}(?:[ .][0-9]{3}){2,5}")

_STRONG = (
    r"phone|telef|tel\xc3\xa9f|telem(?:o|\xc3\xb3)vel|mobil(?:nummer|nr|telefon)|\bnatel\b|puhelin|kom\xc3\xb3rk|t\xc3\xa9l\xc3\xa9phone|\btels?\b|\btel[_.:]|\bt\xc3\xa9l\b|mobile|\bmobil\b"
    r"|m\xc3\xb3vil|\bmovil|cellulare|\bcell\b|\bcel\b|celular|\bfax\b|msisdn|whatsapp|\bwa_id|rufnummer|\bhandy|portable"
    r"|\btfno|\btlf|\bsms\b|\bgsm\b|\bdesk\b|hotline|contact[ _-]?(?:number|no)|callback|caller[ _-]?id|\bph\b|\bmob\b"
    r"|answering[ ]at|\bbel[ ](?:mij|me|ons)\b|\btoll[ -]?free|switchboard|voicemail|landline|(?:call|reach|ring|text|contact)[ ](?:me|us|him|her|them|you)[ ](?:at|on)"
)
_WEAK = (
    r"\bcall(?:ed|ing|er|s|back)?\b|\bring\b|\bdial(?:l?ed|l?ing)?\b|\btext\b|\b(?:my|our|his|her|their|your|the)[ ](?:(?:new|old|other|second|home|work|office|direct|private|us|uk|[a-z]{2,9}(?:ian|ese|ish|man|nch|eli))[ ])?number\b"
    r"|\bnumero\b|num\xc3\xa9ro|\bn\xc3\xbamero|\bcontact|chiam|ll\xc3\xa1m|llam|appel|joindre|anruf|erreich|\breach|answering"
    r"|messages?[ ]to|\bsent[ ]to|registered|\botp\b|\brecipient|\bto\"?[:=]|\bfrom\"?[:=]|kontakt|contatt|r\xc3\xbcckruf|dienstlich|\bprivat|\boffice:|zadzwo|\bsoita|\bring[ ]|\bextension\b|\bline[ ]is\b"
)
_OF_SOMETHING_ELSE = re.compile(
    rb"(?:\b|_)(?:id|ids|uuid|count|stack|depth|queue|ref|reference|version|ticket|order|invoice|model|build)\b|[A-Za-z]-\Z",
    re.IGNORECASE,
)
"""Between a word for telephone and the digits: they are an id of the call, or the name of a device."""
_GAP = rb"[\"'\\ \t\r\n:=>()\[\]#.,+/-]"
_STRONG_WORD = re.compile(_STRONG.encode("latin-1"), re.IGNORECASE)
_WORDS_BEHIND = (
    r"office|fax|mobile|mobil|cell|tel|phone|home|work|direct|desk|landline|handy|b\xc3\xbcro|fixe|portable|cellulare"
)
_WORD_BEHIND = re.compile(rf"(?:[ ]?[-(,][ ]?|[ ])(?:{_WORDS_BEHIND})\Z".encode("latin-1"), re.IGNORECASE)
_GOES_ON = re.compile(rb"[A-Za-z0-9_=:]| [a-z]")
"""The word behind begins a sentence, or names what follows it."""
_STREET_AFTER = re.compile(
    rb" (?:[A-Z][A-Za-z'-]{1,20} ){1,3}(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|way|blvd|boulevard|court|ct|place|square)\b",
    re.IGNORECASE,
)
_WEAK_WORD = re.compile(_WEAK.encode("latin-1"), re.IGNORECASE)
_TIGHT_GAP = re.compile(
    rb"(?:[_ .-]?(?:numbers?|num|nummer|numero|n\xc3\xbamero|num\xc3\xa9ro|nr|no|n|home|work|mobile|office|cell|cellulare|m\xc3\xb3vil"
    rb"|portable|primary|secondary|type=\\?\"?[a-z]{1,16}\\?\"?|[a-z]{1,2}|\xc3\xa8|est|ist|was|dial|fisso|fijo|fixe|privat|code|value|string_?value)| xsi:type=\"xsd:[a-z]{1,10}\"){0,3}%b{0,8}\Z"
    % _GAP,
    re.IGNORECASE,
)


_ASKS_TO_CALL = re.compile(
    rb"call|ring|dial|text|chiam|ll(?:a|\xc3\xa1)m|appel|joindre|anruf|erreich|reach|r\xc3\xbcckruf", re.IGNORECASE
)
_CALLED_AT = re.compile(
    rb"[a-z]{0,6} (?:[a-z]{1,4} )?(?:au|al|unter|at|on|il|le|el|n[u\xc3\xba]{1,2}mero|num\xc3\xa9ro|nummer|number)[ :]{1,3}\Z",
    re.IGNORECASE,
)


def check_international(data: bytes, end: int) -> Span | None:
    """The hit ends with the eighth digit after `+`."""
    start = data.rfind(b"+", max(0, end - 26), end)
    if start < 0 or data[start - 1 : start].isalnum() or data[start - 1 : start] in (b"+", b"_"):
        return None
    if data[start - 1 : start] == b"(":
        start -= 1
    return _first_accepted(data, start, _is_international)


def check_double_zero(data: bytes, end: int) -> Span | None:
    """The hit ends with the eighth digit after `00`."""
    start = _start_of_number(data, end)
    if data[start : start + 2] != b"00" or _PART_BEFORE.search(data, max(0, start - 2), start):
        return None
    return _first_accepted(data, start, lambda number: _is_valid("+" + _digits(number)[2:], None))


def check_national(data: bytes, end: int) -> Span | None:
    """The hit ends with a number in a form that little else has; the numbering plans must know it."""
    start = _start_of_number(data, end)
    if _PART_BEFORE.search(data, max(0, start - 2), start):
        return None
    span = _first_accepted(data, start, _is_national)
    if span is None or span[1] < end:
        return None
    spaced = b" " in data[start:end] and b"-" not in data[start:end]
    if spaced and (_DIGIT_AND_SPACE.search(data, max(0, start - 2), start) or _GROUP_AFTER.match(data, span[1])):
        return None
    return span


def check_named(data: bytes, end: int) -> Span | None:
    """The hit ends with the sixth digit after a word for telephone."""
    start = _start_of_number(data, end)
    if data[start - 1 : start].isalnum():
        return None
    word = last_match(_STRONG_WORD, data, max(0, start - _LOOK_BACK), start)
    if word is not None and _OF_SOMETHING_ELSE.search(data, word.end(), start):
        return None
    if word is not None and _TIGHT_GAP.match(data, word.end(), start):
        return _first_accepted(data, start, _is_in_a_plan) or _first_accepted(data, start, _is_plausible)
    return _first_accepted(data, start, lambda number: _is_grouped(number) and _is_in_a_plan(number))


def check_hinted(data: bytes, end: int) -> Span | None:
    """The hit ends with the sixth digit after a word that often precedes a number, but need not."""
    start = _start_of_number(data, end)
    if data[start - 1 : start].isalnum():
        return None
    word = last_match(_WEAK_WORD, data, max(0, start - _LOOK_BACK), start)
    if word is not None and _OF_SOMETHING_ELSE.search(data, word.end(), start):
        return None
    asked = (
        word is not None
        and _ASKS_TO_CALL.match(word[0]) is not None
        and _CALLED_AT.match(data, word.end(), start) is not None
    )
    return _first_accepted(
        data, start, lambda number: (asked or _is_grouped(number)) and _is_in_a_plan(number)
    ) or _first_accepted(
        data, start, lambda number: _is_grouped(number) and not _THOUSANDS.fullmatch(number) and _is_plausible(number)
    )


def check_followed(data: bytes, end: int) -> Span | None:
    """The hit ends with a word such as `fax` or `(mobile)` behind a number, as on business cards."""
    word = _WORD_BEHIND.search(data, max(0, end - 16), end)
    if word is None or _GOES_ON.match(data, end):
        return None
    start = _start_of_number(data, word.start())
    if _PART_BEFORE.search(data, max(0, start - 2), start):
        return None
    span = _first_accepted(
        data,
        start,
        lambda number: (
            _is_in_a_plan(number)
            or (_is_grouped(number) and not _THOUSANDS.fullmatch(number) and _is_plausible(number))
        ),
    )
    return span if span is not None and span[1] >= word.start() else None


def _start_of_number(data: bytes, end: int) -> int:
    """Where the run of digits and separators that the hit ended in begins: with a digit, `(` or `+`."""
    floor = max(0, end - 28)
    start = floor + len(data[floor:end].rstrip(_OF_NUMBER))
    run = data[start:end]
    plus = run.rfind(b"+")
    if plus > 0:
        start += plus
    while data[start] in b" ).-/":
        start += 1
    if data[start] == 40 and b")" not in data[start:end]:
        start += 1
    return start


def _first_accepted(data: bytes, start: int, accepts: Callable[[bytes], bool]) -> Span | None:
    """The longest run of groups from `start` that is accepted and no part of something longer."""
    shape = _SHAPE.match(data, start, start + 48)
    if shape is None:
        return None
    ends = {end for group in _GROUP_END.finditer(data, start, shape.end()) for end in group.span()}
    for end in sorted(ends, reverse=True):
        number = data[start:end]
        if number.count(b"(") != number.count(b")") or _PART_AFTER.match(data, end):
            continue
        if _STREET_AFTER.match(data, end):
            return None
        main = _EXTENSION.sub(b"", number)
        digits = _digits(main)
        if len(digits) < _FEWEST:
            return None
        if len(digits) <= _MOST and len(set(digits)) > 1 and not _NO_TELEPHONE.fullmatch(main) and accepts(main):
            return start, end
    return None


def _digits(number: bytes) -> str:
    return number.translate(None, b" ().-/+x").decode("ascii")


_SOLID_EIGHT = 8
_PLANS_OF_EIGHT = ("DK", "NO")


def _is_grouped(number: bytes) -> bool:
    return len(number) > len(_digits(number))


def _is_plausible(number: bytes) -> bool:
    """Whether a word before it makes it a number though no plan knows it: they change, and people mistype."""
    digits = _digits(number)
    if len(digits) == _SOLID_EIGHT and not _is_grouped(number):
        return any(_is_valid(digits, plan) for plan in _PLANS_OF_EIGHT)
    return len(digits) <= 13 and (len(digits) >= 9 or _is_grouped(number))


def _is_international(number: bytes) -> bool:
    digits = _digits(number)
    if len(digits) < 10 and not _is_grouped(number[1:]):
        return _is_valid("+" + digits, None)
    return _is_valid("+" + digits, None) or (_is_possible(number.decode("ascii")) and digits[0] != "0")


_OWN_FORM = re.compile(
    rb"(?:1[ -])?(?:\([2-9][0-9]{2}\)[ -]?|[2-9][0-9]{2}-)[0-9]{3}-[0-9]{4}|0[1-9](?P<sign>[ .-])[0-9]{2}(?:(?P=sign)[0-9]{2}){3}"
    rb"|07[0-9]{3} (?:[0-9]{6}|[0-9]{3} [0-9]{3})"
)
"""Forms that only telephone numbers have; whether the plan knows them or not: many are made up."""


def _is_national(number: bytes) -> bool:
    return _OWN_FORM.fullmatch(number) is not None or _is_in_a_plan(number)


def _is_in_a_plan(number: bytes) -> bool:
    if number.startswith((b"+", b"(+")):
        return _is_international(number)
    digits = _digits(number)
    return any(_is_valid(digits, plan) for plan in _plans(digits))


def _plans(digits: str) -> list[str]:
    """Numbering plans that a national number of this length and first digits may belong to."""
    length, first = len(digits), digits[0]
    if first == "0":
        plans = []
        if length in (10, 11):
            plans.append("GB")
        if length == 10:
            plans.append("FR")
        return [*plans, "DE", "IT"]
    if length == 10 and first != "1" and digits[3] not in "01":
        return ["US", "IT"] if first == "3" else ["US"]
    if length == 11 and first == "1":
        return ["US"]
    if length in (9, 10) and first == "3":
        return ["IT"]
    return ["ES"] if length == 9 and first in "6789" else []


@lru_cache(maxsize=4096)
def _is_valid(number: str, plan: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, plan))
    except phonenumbers.NumberParseException:
        return False


def _is_possible(number: str) -> bool:
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return False


_NEXT = r"(?:[ ()./-]{0,3}[0-9])"

PHONE = Detector(
    pii_type="PHONE",
    why="Reaches a person. `+` and a country code, a form that only telephone numbers have, or a word before it; national "
    "numbers are held against the plans of the US, UK, France, Germany, Italy and Spain.",
    expressions=(
        Expression("phone.international", rf"\+ ?[1-9]{_NEXT}{{7}}", check_international, 0.95),
        Expression("phone.double_zero", rf"\b00[1-9]{_NEXT}{{7}}", check_double_zero, 0.8),
        Expression(
            "phone.north_american",
            r"\b[2-9][0-9]{2}(?:\)[ -]?|[-. ])[0-9]{3}[-. ][0-9]{4}\b",
            check_national,
            0.9,
        ),
        Expression(
            "phone.european",
            r"\b0[1-9](?:[ .-][0-9]{2}){4}\b|\b0[1-9][0-9]{1,3}\)?[ ][0-9]{3,4}[ ][0-9]{3,4}\b|\b0[1-9][0-9]{1,3}\.[0-9]{3}\.[0-9]{4}\b|\b07[0-9]{3}[ ][0-9]{6}\b"
            r"|\b0[1-9][0-9]{1,3}\)?[ /-][0-9]{5,8}\b|\b3[2-9][0-9][ .-][0-9]{3}[ .-][0-9]{3,4}\b"
            r"|\b(?:[6-9][0-9]{2}[ ][0-9]{2}|9[0-9][ ][0-9]{3})[ ][0-9]{2}[ ][0-9]{2}\b",
            check_national,
            0.85,
        ),
        Expression(
            "phone.named",
            rf"(?:{_STRONG})[^0-9\x00,;{{}}]{{0,30}}[0-9]{_NEXT}{{5}}",
            check_named,
            0.9,
            caseless=True,
            version=2,
        ),
        Expression(
            "phone.hinted",
            rf"(?:{_WEAK})[^0-9\x00\n,;{{}}?!]{{0,24}}[0-9]{_NEXT}{{5}}",
            check_hinted,
            0.75,
            caseless=True,
            version=2,
        ),
        Expression(
            "phone.followed",
            rf"[0-9]{_NEXT}{{6}}\)?(?:[ ]?[-(,][ ]?|[ ])(?:{_WORDS_BEHIND})\b",
            check_followed,
            0.8,
            caseless=True,
        ),
    ),
    positives=(
        ("sms to +14155550123 sent", "+14155550123"),
        ("call (212) 555-0187 now", "(212) 555-0187"),
        ('{"phone":"2125550187"}', "2125550187"),
        ("tel. 06 1234 5678 (ufficio)", "06 1234 5678"),
        ("joindre au 06 12 34 56 78.", "06 12 34 56 78"),
        ("Handy: 0151 23456789", "0151 23456789"),
        ("ring 020 7946 0018 later", "020 7946 0018"),
        ("To=%2B447700900123&Body=x", "%2B447700900123"),
        ("móvil 612 345 678", "612 345 678"),
        ("telefoon: 06 14009371", "06 14009371"),
        ("mobile=40612574", "40612574"),
        ("781 1704 office", "781 1704"),
    ),
    negatives=(
        "order 2125550187 shipped",
        "at 2026-11-23T08:12:01+01:00",
        "phone=[PHONE]",
        "mobile view rendered 6123456 items",
        "epoch 1795420800000 of call 7",
        "+39 *** *** 1234",
        "call on 2026-11-23 at 10",
        "to be sent to 19607 107 Igias Street",
        "moved 416 60 039 work items",
        "call id 1-5021952424.44",
        "tel_model=Pixel-7-574294600",
    ),
)
