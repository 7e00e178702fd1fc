"""Made-up values by other habits than those of `values`: other names, countries, issuers and ways of writing.

Nothing here imports the detectors. Telephone numbers are drawn from the numbering plans of the phonenumbers library.
"""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Callable, Mapping
from functools import cache
from random import Random

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from tests.accuracy.values import ALPHANUMERIC, VALUES, digits, text

GIVEN = (
    "Agnieszka Piotr Mateusz Zofia Katarzyna Lars Ingrid Maximilian Annika Tim Bastien Océane Aurélie Thibault Federica Gianluca "
    "Beatriz João Inês Rui Ayşe Mehmet Deepika Arjun Siobhán Eoin Mei Hiroshi Noah Ava Ethan Mia Liam Grace Tyler Megan "
    "Dmitri Svetlana Youssef Layla Chidi Ngozi Wim Femke"
).split()
FAMILY = (
    "Kowalczyk Nowak Wiśniewska Andersen Johansson Lindgren Hoffmann Zimmermann Krause Lefèvre Roux Girard Marchetti Colombo "
    "Ricci Oliveira Ferreira Pereira Yılmaz Demir Sharma Iyer O'Sullivan Byrne Wang Suzuki Anderson Mitchell Parker Hughes "
    "Bennett Petrov Haddad Eze Vermeulen Bakker Jansen Novák Horvat Popescu"
).split()
_ASCII = str.maketrans("śŚıçéèêëŽáãõóüşğłŁńÉŞ", "sSiceeeeZaaoousglLnES")
_TLDS = "pl se no nl be ch at pt com.br com.tr in ie com.au co.jp cz hr ro io dev app cloud photography eu-west.example".split()


def _plain(name: str) -> str:
    return "".join(c for c in name.translate(_ASCII).lower() if c.isascii() and c.isalpha())


def email(r: Random) -> str:
    given, family = _plain(r.choice(GIVEN)), _plain(r.choice(FAMILY))
    local = r.choice(
        (f"{given}{family}", f"{family}.{given}", f"{given}.{r.choice(string.ascii_lowercase)}.{family}", f"{given[0]}{given[1]}{r.randrange(10, 9999)}",
         f"{given}", f"{r.randrange(100, 9999)}{family}", f"x-{family}", f"{given}_{family}_{r.randrange(99)}", f"{family.upper()}{given[0].upper()}",
         f"{given}.{family}+{r.choice(('github', '2024', 'test-1'))}", f"{r.choice(('hr', 'jobs', 'ap', 'noc', 'dpo', 'rechnung', 'kontakt'))}")
    )  # fmt: skip
    host = r.choice(
        (f"{family}.{r.choice(_TLDS[:-1])}", f"{r.choice(('acme', 'nordwind', 'globex', 'initech'))}-{r.choice(('group', 'labs', 'it'))}.{r.choice(_TLDS[:-1])}",
         "gmail.com", "icloud.com", "hotmail.fr", "gmx.net", "t-online.de", "wp.pl", "bluewin.ch", f"mail{r.randrange(9)}.{r.choice(('uni', 'city'))}.{r.choice(_TLDS[:8])}",
         f"{text(r, 3, string.ascii_lowercase)}.co", "xn--mller-kva.de", "GLOBEX.COM")
    )  # fmt: skip
    return f"{local}@{host}"


@cache
def _example(region: str, kind: int) -> str:
    example = phonenumbers.example_number_for_type(region, kind)
    assert example is not None
    return phonenumbers.national_significant_number(example)


def _number(r: Random, region: str) -> phonenumbers.PhoneNumber:
    while True:
        body = _example(region, r.choice((PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE)))
        kept = r.choice((2, 3, 4)) if region not in ("US", "CA") else 0
        if kept:
            body = body[:kept] + digits(r, len(body) - kept)
        else:
            body = f"{r.randrange(2, 10)}{digits(r, 2)}{r.randrange(2, 10)}{digits(r, 6)}"
        number = phonenumbers.parse(body, region)
        if phonenumbers.is_valid_number_for_region(number, region):
            return number


def phone(r: Random, regions: str, form: str) -> str:
    number = _number(r, r.choice(regions.split()))
    if form == "e164":
        return phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if form == "national":
        written = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
        return (
            r.choice((written, written, written.replace(" ", "."), written.replace(" ", "-")))
            if "(" not in written
            else written
        )
    if form == "solid":
        return "".join(c for c in phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL) if c.isdigit())
    written = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    code, rest = written.split(" ", 1) if " " in written else (written[:2], written[2:])
    if form == "zeros":
        return r.choice((f"00{code[1:]} {rest}", f"00{code[1:]}{rest.replace(' ', '').replace('-', '')}"))
    rest = rest.replace("-", " ")
    return r.choice(
        (written, f"{code} {rest.replace(' ', '.')}", f"{code}-{rest.replace(' ', '-')}", f"{code}.{rest.replace(' ', '.')}", f"({code}) {rest}",
         f"{code} {rest.replace(' ', '')}", f"{code} {rest}")
    )  # fmt: skip


_WEST = "GB FR DE IT ES"
_EU = "NL BE CH AT PL SE NO DK PT IE FI CZ GR HU RO"
_WORLD = f"{_WEST} {_EU} US CA BR IN AU JP MX ZA TR SG AE IL"


def phone_extension(r: Random) -> str:
    return phone(r, "US", "national") + r.choice((" x{}", " ext. {}", "x{}", " ext {}")).format(r.randrange(10, 9999))


def iban_spaced(r: Random) -> str:
    compact = VALUES["IBAN:compact"](r)
    return r.choice((" ", " ", "-", "\u00a0")).join(compact[i : i + 4] for i in range(0, len(compact), 4))


def card_spaced(r: Random) -> str:
    number = VALUES["CREDIT_CARD:digits"](r)
    if len(number) != 16:
        return number
    return r.choice((" ", "-", " ")).join(number[i : i + 4] for i in range(0, 16, 4))


_WORDS = "autumn velvet Copper thunder Marble lantern cactus orbit Pickle harbor willow Rocket".split()
_SIGNS = "!@#$%^&*-_=+?."


def password(r: Random) -> str:
    word = r.choice(_WORDS)
    return r.choice(
        (f"{word}{r.randrange(1, 999)}", f"{word.title()}@{r.randrange(2015, 2027)}", "".join(r.choice(ALPHANUMERIC + _SIGNS) for _ in range(r.randrange(10, 24))).strip(_SIGNS) + "7a",
         f"{word}-{r.choice(_WORDS)}-{r.choice(_WORDS)}", word.lower() + r.choice(_WORDS).lower(), digits(r, r.randrange(6, 11)), f"P@ss{word}{r.randrange(10)}", text(r, 32, "0123456789abcdef"),
         f"{word.upper()}_{text(r, 6)}")
    )  # fmt: skip


def password_plain(r: Random) -> str:
    """Without signs that need quotes or escapes."""
    word = r.choice(_WORDS)
    return r.choice(
        (
            f"{word}{r.randrange(1, 999)}",
            f"{word}-{r.choice(_WORDS)}-{r.randrange(99)}",
            text(r, r.randrange(8, 22)),
            f"{word.title()}{text(r, 4)}",
            word.lower() + r.choice(_WORDS).lower(),
        )
    )


def phrase(r: Random) -> str:
    return " ".join(r.choice(_WORDS).lower() for _ in range(4))


_HEX = "0123456789abcdef"
_URL = ALPHANUMERIC + "-_"
_ISSUED: tuple[Callable[[Random], str], ...] = (
    lambda r: f"ghu_{text(r, 36)}", lambda r: f"glrt-{text(r, 20, _URL)}", lambda r: f"dckr_pat_{text(r, 27, _URL)}", lambda r: f"ya29.a0{text(r, 120, _URL)}",
    lambda r: f"GOCSPX-{text(r, 28, _URL)}", lambda r: f"whsec_{text(r, 32)}", lambda r: f"lin_api_{text(r, 40)}", lambda r: f"PMAK-{text(r, 24, _HEX)}-{text(r, 34, _HEX)}",
    lambda r: f"NRAK-{text(r, 27, string.ascii_uppercase + string.digits)}", lambda r: f"ATATT3xFfGF0{text(r, 170, _URL)}={text(r, 8, '0123456789ABCDEF')}", lambda r: f"glsa_{text(r, 32)}_{text(r, 8, _HEX)}",
    lambda r: f"dapi{text(r, 32, _HEX)}", lambda r: f"gsk_{text(r, 52)}", lambda r: f"r8_{text(r, 37)}", lambda r: f"sntrys_{base64.b64encode(json.dumps({'iat': r.randrange(10**9)}).encode()).decode().rstrip('=')}_{text(r, 43)}",
    lambda r: f"figd_{text(r, 40, _URL)}", lambda r: f"{text(r, 14)}.atlasv1.{text(r, 65)}", lambda r: f"{text(r, 32, _HEX)}-us{r.randrange(1, 22)}", lambda r: f"sk-svcacct-{text(r, 60, _URL)}a",
    lambda r: f"xapp-1-A{text(r, 10, string.ascii_uppercase + string.digits)}-{digits(r, 13)}-{text(r, 64, _HEX)}", lambda r: f"EAACEdEose0cBA{text(r, 60)}", lambda r: f"sq0atp-{text(r, 22, _URL)}", lambda r: f"rubygems_{text(r, 48, _HEX)}",
    lambda r: f"shpss_{text(r, 32, _HEX)}", lambda r: f"pat{text(r, 14)}.{text(r, 64, _HEX)}", lambda r: f"ghp_{text(r, 36)}", lambda r: f"sk_live_{text(r, 99)}", lambda r: f"github_pat_{text(r, 22)}_{text(r, 59)}", lambda r: f"AIza{text(r, 35, _URL)}",
)  # fmt: skip


def opaque(r: Random) -> str:
    return r.choice(
        (
            text(r, 20),
            text(r, 64, _HEX),
            text(r, 22, _URL) + "Q9",
            base64.b64encode(r.randbytes(32)).decode(),
            text(r, 36, string.ascii_lowercase + string.digits),
        )
    )


def azure_key(r: Random) -> str:
    return base64.b64encode(r.randbytes(64)).decode()


def basic(r: Random) -> str:
    return base64.b64encode(f"{_plain(r.choice(GIVEN))}:{password(r)}".encode()).decode()


def jwt(r: Random) -> str:
    def part(document: Mapping[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")

    head = r.choice(
        (
            {"typ": "JWT", "alg": "RS256", "kid": text(r, 27, _URL)},
            {"alg": "EdDSA"},
            {"kid": text(r, 6), "alg": "PS256"},
        )
    )
    claims = {"iss": "https://login.example.se/", "exp": r.randrange(10**9, 2 * 10**9), "roles": ["user"]}
    return f"{part(head)}.{part(claims)}.{text(r, r.choice((43, 342)), _URL)}"


def credentials(r: Random) -> str:
    user = r.choice(
        ("deploy", "etl-reader", "sa", "postgres", "guest", "ci_bot", _plain(r.choice(GIVEN)), "user%40corp")
    )
    secret = r.choice(
        (
            text(r, r.randrange(6, 28)),
            f"{r.choice(_WORDS)}{r.randrange(99)}",
            f"{r.choice(_WORDS)}%2F{text(r, 5)}",
            f"a!{text(r, 8)}",
            text(r, 24, _HEX),
            f"{text(r, 5)}$~{text(r, 3)}",
        )
    )
    return f"{user}:{secret}"


def birth_date(r: Random) -> str:
    year, month, day = r.randrange(1940, 2010), r.randrange(1, 13), r.randrange(1, 29)
    names = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    return r.choice(
        (f"{year}/{month:02d}/{day:02d}", f"{day}.{month}.{year}", f"{names[month - 1]} {day}, {year}", f"{day:02d}-{names[month - 1]}-{year}", f"{year}-{month:02d}-{day:02d}", f"{month}/{day}/{year}")
    )  # fmt: skip


def ipv4(r: Random) -> str:
    return ".".join(
        map(
            str,
            (
                r.choice((1, 5, 23, 45, 78, 100, 127, 169, 172, 192, 217, 10)),
                r.randrange(1, 255),
                r.randrange(256),
                r.randrange(1, 255),
            ),
        )
    )


def ipv6(r: Random) -> str:
    def group() -> str:
        return f"{r.randrange(1, 65536):x}"

    return r.choice(
        (f"2a03:2880:{group()}:{group()}:face:b00c:0:{group()}", f"2607:f8b0:{group()}:{group()}::200e", f"fdaa:0:{group()}:a7b:{group()}:{group()}:{group()}:2",
         f"fe80::{group()}:{r.randrange(1, 256):x}ff:fe{r.randrange(256):02x}:{group()}", f"2001:470:{group()}::{r.randrange(1, 99)}", f"2A01:4F8:{group().upper()}:{group().upper()}::2", f"2400:cb00:{group()}::{group()}:{group()}")
    )  # fmt: skip


def mac(r: Random) -> str:
    octets = [f"{r.choice((0x00, 0x52, 0x70, 0xB8, 0xDC, 0xE4)):02x}", *(f"{r.randrange(256):02x}" for _ in range(5))]
    return r.choice((":".join(octets), ":".join(octets).upper(), "-".join(octets).upper()))


FOREIGN_VALUES: dict[str, Callable[[Random], str]] = {
    **VALUES,
    "EMAIL": email, "PHONE": lambda r: phone(r, _WORLD, "international"), "PHONE:e164": lambda r: phone(r, _WORLD, "e164"),
    "PHONE:zeros": lambda r: phone(r, f"{_WEST} {_EU}", "zeros"), "PHONE:us": lambda r: phone(r, "US CA", "national"), "PHONE:ext": phone_extension,
    "PHONE:uk": lambda r: phone(r, "GB", "national"), "PHONE:fr": lambda r: phone(r, "FR", "national"), "PHONE:de": lambda r: phone(r, "DE", "national"),
    "PHONE:it": lambda r: phone(r, "IT", "national"), "PHONE:es": lambda r: phone(r, "ES", "national"), "PHONE:eu": lambda r: phone(r, _EU, "national"),
    "PHONE:nl": lambda r: phone(r, "NL", "national"), "PHONE:pl": lambda r: phone(r, "PL", "national"), "PHONE:se": lambda r: phone(r, "SE", "national"),
    "PHONE:pt": lambda r: phone(r, "PT", "national"), "PHONE:ch": lambda r: phone(r, "CH AT", "national"), "PHONE:be": lambda r: phone(r, "BE", "national"),
    "PHONE:ie": lambda r: phone(r, "IE", "national"), "PHONE:solid": lambda r: phone(r, f"{_WEST} {_EU} US", "solid"),
    "PHONE:west_solid": lambda r: phone(r, f"{_WEST} US", "solid"), "IBAN": iban_spaced, "CREDIT_CARD": card_spaced,
    "PERSON": lambda r: f"{r.choice(GIVEN)} {r.choice(FAMILY)}",
    "PERSON:first": lambda r: r.choice(GIVEN),
    "PERSON:last": lambda r: r.choice(FAMILY),
    "PERSON:plus": lambda r: f"{r.choice(GIVEN)}+{r.choice(FAMILY)}",
    "DATE_OF_BIRTH": birth_date, "IPV4": ipv4, "IPV4:netmask": lambda r: "255.255.255.0", "IPV6": ipv6, "IPV6:group": lambda r: "ff02::1", "MAC": mac, "JWT": jwt, "API_TOKEN": lambda r: r.choice(_ISSUED)(r),
    "API_TOKEN:opaque": opaque, "API_TOKEN:azure": azure_key, "API_TOKEN:session": lambda r: base64.b64encode(r.randbytes(r.randrange(60, 90))).decode(), "API_TOKEN:azure_short": lambda r: base64.b64encode(r.randbytes(32)).decode(),
    "API_TOKEN:urlsafe": lambda r: text(r, r.randrange(24, 50), _URL) + "x", "URL_CREDENTIALS:token": lambda r: "oauth2:" + text(r, 40),
    "PHONE:toll_free": lambda r: f"1-{r.choice(('800', '888', '877'))}-{r.randrange(200, 999)}-{digits(r, 4)}", "API_TOKEN:basic": basic, "PASSWORD": password, "PASSWORD:plain": password_plain,
    "PASSWORD:phrase": phrase, "URL_CREDENTIALS": credentials,
}  # fmt: skip
