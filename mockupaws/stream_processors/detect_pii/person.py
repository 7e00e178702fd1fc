"""PERSON: names of persons, by what stands before them and by lists of names. Slow: only for who asked for it.

A candidate is one to four words that begin with a capital. What stands before it (a title, a field such as
`customer_name`, a greeting, a header, a word for what the person is) says how much the lists must know of it; where
nothing does, both its given and its family name must be known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate

from mockupaws.schemas.pii_types import PII_TYPES
from mockupaws.stream_processors.detect_pii.known_names import NO_NAMES, KnownNames, known_names
from mockupaws.stream_processors.detect_pii.person_rules import PERSON_RULES
from mockupaws.stream_processors.detect_pii.scan import SEPARATOR, Found, TextScanner, TypedSpan

_UPPER = "A-Z\u00c0-\u00d6\u00d8-\u00de\u0100-\u017e\u0386-\u03a9\u0401-\u042f"
_LETTERS = r"(?:[^\W\d_]|['\u2019-](?=[^\W\d_]))"
_WORD = rf"[{_UPPER}]{_LETTERS}{{1,30}}"
_PARTICLE = r"(?:de|da|di|del|della|dos|du|van|von|der|den|ter|ten|la|le|el|al|bin|ibn|zu|af|av|of)"
_MARKS = "|".join((*PII_TYPES, "DROPPED", "LINE_DROPPED"))
_NAME = re.compile(
    rf"(?<![\w.@/\\$-])(?!(?:{_MARKS})[:\]])(?:{_WORD}|[{_UPPER}]\.)(?:(?:[ +]|%20)(?:{_PARTICLE} ){{0,3}}(?:{_WORD}|[{_UPPER}]\.?(?![\w.]))){{0,6}}"
)
_SPLIT = re.compile(r"[ +]|%20")
_LOOK_BACK = 80
_SIGN = r"[\"'\\]{0,3}\s{0,3}(?:=>|[=:>])\s{0,2}[\"'\\]{0,3}"
_TITLE = re.compile(
    r"(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Herrn?|Frau|Sig|Sig\.ra|Sig\.na|Signora?|Mme|Mlle|M|Monsieur|Madame|Sra?|Señora?|Dott|Dott\.ssa"
    r"|Ing|Avv|Rev|Pan|Pani|Dhr|Mevr)\.?"
)
_FIELD = re.compile(
    r"(?:(?:first|last|given|family|full|middle|display|real|customer|client|contact|patient|employee|(?:card|account)[ _-]?holder"
    r"|billing|shipping|recipient|sender|owner|author|passenger|guest|driver|beneficiary|debtor|creditor|applicant|borrower|payer"
    r"|payee|subscriber|member|person|legal|maiden|emergency[ _-]contact)[ _.-]?name|card[ _-]?holder|account[ _-]?holder|surname"
    r"|forename|cognome|\bnome|vorname|nachname|pr[ée]nom|nombre|apellidos?|imi[eę]|nazwisko|\bnm)" + _SIGN + r"\Z",
    re.IGNORECASE,
)
_PLAIN_FIELD = re.compile(
    r"\b(?:name|nom|customer|patient|client|passenger|recipient|sender|employee|q|query|assignee|reporter)"
    + _SIGN
    + r"\Z",
    re.IGNORECASE,
)
_GREETING = re.compile(
    r"\b(?:dear|hi|hello|hey|hallo|lieber?|ciao|car[oa]|gentile|bonjour|ch[eè]re?|hola|estimad[oa]|querid[oa]"
    r"|good (?:morning|afternoon|evening)|thanks|thank you|regards|sincerely|cheers|best|greetings)[,!]?\s{1,3}\Z",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"\b(?:from|to|cc|bcc|reply-to|sender|author|committer|signed-off-by|co-authored-by|reviewed-by)\s?[:=]\s{0,2}\"?\Z",
    re.IGNORECASE,
)
_INTRODUCED = re.compile(r"\b(?:name is|name's|mi chiamo|ich hei(?:ß|ss)e|je m'appelle|me llamo)\s\Z", re.IGNORECASE)
_PERHAPS_INTRODUCED = re.compile(r"\b(?:i am|i'm|this is|call me|named|ich bin)\s\Z", re.IGNORECASE)
_ROLE = re.compile(
    r"\b(?:customer|client|patient|user|employee|applicant|passenger|guest|member|driver|caller|student|tenant|beneficiary|manager"
    r"|agent|colleague|paziente|cliente|kunde|kundin|assur[eé]e?|(?:signed|approved|created|reopened|closed|reported|requested|opened"
    r"|rejected|reviewed|owned|written|paid|authored|taken|played|sung|directed|led|founded) by|assigned to|belongs to|delivery for"
    r"|on behalf of|spoke with|spoke to|talked to|met|meeting with|between|and|with|by|for|ask|tell|told|contact|see)\s\Z",
    re.IGNORECASE,
)
_LEADING = frozenset(
    [
        "dear",
        "hi",
        "hello",
        "hey",
        "hallo",
        "lieber",
        "liebe",
        "ciao",
        "caro",
        "cara",
        "gentile",
        "bonjour",
        "cher",
        "chère",
        "hola",
        "estimado",
        "estimada",
        "customer",
        "client",
        "patient",
        "user",
        "applicant",
        "passenger",
        "employee",
        "the",
        "this",
        "that",
        "my",
        "our",
        "from",
        "to",
        "il",
        "la",
        "der",
        "die",
        "das",
        "el",
        "le",
        "please",
        "contact",
        "call",
        "ask",
        "i'm",
        "here's",
    ]
)
"""Words with a capital at the beginning of a sentence, before a name."""
_OWNING = ("'s", "\u2019s")
_MOST_WORDS = 4
_CARRIES = re.compile(r"[^\W\d_]{2}")


class PersonScanner:
    """What another scanner finds, and the names of persons that it leaves."""

    def __init__(self, scanner: TextScanner) -> None:
        self._scanner = scanner

    def scan(self, data: bytes) -> list[Found]:
        """As Scanner.scan."""
        found = self._scanner.scan(data)
        origin = 0
        persons: list[Found] = []
        for text in data.split(SEPARATOR):
            persons += [p._replace(start=p.start + origin, end=p.end + origin) for p in find_persons(text)]
            origin += len(text) + 1
        return _beside(found, persons)

    def spans(self, data: bytes) -> list[TypedSpan]:
        """As Scanner.spans."""
        texts = data.split(SEPARATOR)
        found = self.scan_texts(data, texts)
        starts = list(accumulate([len(text) + 1 for text in texts], initial=0))
        return [
            (starts[number] + one.start, starts[number] + one.end, one.pii_type)
            for number in sorted(found)
            for one in found[number]
        ]

    def scan_texts(self, joined: bytes, texts: Sequence[bytes]) -> dict[int, list[Found]]:
        """As Scanner.scan_texts."""
        found = self._scanner.scan_texts(joined, texts)
        for position, text in enumerate(texts):
            persons = find_persons(text)
            if persons and (all_found := _beside(found.get(position, []), persons)):
                found[position] = all_found
        return found


def _beside(found: list[Found], persons: list[Found]) -> list[Found]:
    """Both in order; a name that overlaps anything else gives way to it."""
    kept = [p for p in persons if all(p.end <= other.start or other.end <= p.start for other in found)]
    return sorted([*found, *kept]) if kept else found


def find_persons(data: bytes) -> list[Found]:
    """In bytes of `data`, in order, none overlapping another."""
    text = data.decode("utf-8", "replace")
    names = known_names()
    spans = [found for candidate in _NAME.finditer(text) for found in _judge(text, candidate, names)]
    if not spans:
        return []
    if text.isascii():
        return [Found(start, end, "PERSON", rule, PERSON_RULES[rule][1]) for start, end, rule in spans]
    found: list[Found] = []
    character = byte = 0
    for start, end, rule in spans:
        begin = byte + len(text[character:start].encode())
        character, byte = end, begin + len(text[start:end].encode())
        found.append(Found(begin, byte, "PERSON", rule, PERSON_RULES[rule][1]))
    return found


def _judge(text: str, candidate: re.Match[str], names: KnownNames) -> Iterator[tuple[int, int, str]]:
    """At most one name in a run of words with capitals: what leads up to it and what follows it are cut off."""
    start = candidate.start()
    words: list[tuple[int, int]] = []
    position = start
    for separator in _SPLIT.finditer(text, start, candidate.end()):
        words.append((position, separator.start()))
        position = separator.end()
    words.append((position, candidate.end()))
    titled = False
    while words:
        is_title = _TITLE.fullmatch(text, *words[0]) is not None
        if not is_title and not _leads(text, words):
            break
        titled = titled or is_title
        words = words[1:]
    words = words[: next((n for n, word in enumerate(words) if text[slice(*word)].casefold() in NO_NAMES), len(words))]
    owner = next((n for n, word in enumerate(words, 1) if text[slice(*word)].endswith(_OWNING)), len(words))
    cut = owner == len(words) and len(words) and words[-1][1] < candidate.end()
    words = words[:owner]
    while words and not _CARRIES.search(text[slice(*words[-1])]):
        words.pop()
    if not words or len(words) > _MOST_WORDS:
        return
    first, last = text[slice(*words[0])], text[slice(*words[-1])]
    begin, end = words[0][0], words[-1][1]
    if last.endswith(_OWNING):
        last, end = last[:-2], end - 2
    before = text[max(0, begin - _LOOK_BACK) : begin]
    titled = titled or _ends_with_title(before)
    rule = _rule_of(first, last, len(words), before, text[end : end + 3], names, titled=titled, cut=bool(cut))
    if rule is not None:
        yield begin, end, rule


def _leads(text: str, words: list[tuple[int, int]]) -> bool:
    """Whether the first word is no part of the name: a greeting, a role, or the first word of a sentence."""
    word = text[slice(*words[0])].casefold()
    return word in _LEADING or (len(words) > 1 and word in NO_NAMES)


def _ends_with_title(before: str) -> bool:
    words = before[-12:].split()
    return bool(words) and before.endswith(" ") and _TITLE.fullmatch(words[-1]) is not None


def _rule_of(
    first: str, last: str, count: int, before: str, after: str, names: KnownNames, *, titled: bool, cut: bool
) -> str | None:
    several = count > 1
    first_known, last_known = names.is_given(first), names.is_family(last)
    either = first_known or last_known
    if titled:
        return "person.titled" if several or names.knows(last) or _LOOKS_SPELT.fullmatch(last) else None
    if _FIELD.search(before):
        return "person.field" if not cut or either else None
    if _PLAIN_FIELD.search(before):
        return "person.field" if several and either and not cut else None
    if cut:
        return None
    if _INTRODUCED.search(before) or (either and _PERHAPS_INTRODUCED.search(before)):
        return "person.role"
    if _GREETING.search(before):
        return "person.addressed" if (either if several else names.knows(first)) else None
    if several and either and _HEADER.search(before) and after.lstrip('"').lstrip().startswith("<"):
        return "person.header"
    if several and either and _ROLE.search(before):
        return "person.role"
    if not several or not first_known or _NUMBER_BEFORE.search(before) or _NUMBER_AFTER.match(after):
        return None  # a number beside it: the name of a street
    return "person.known" if last_known or names.knows(last) else None


_NUMBER_BEFORE = re.compile(r"[0-9][,.]?\s\Z")
_NUMBER_AFTER = re.compile(r",?\s[0-9]")
_LOOKS_SPELT = re.compile(rf"[{_UPPER}][a-z\u00df-\u017f'-]{{2,30}}")
