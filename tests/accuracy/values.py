"""Made-up values of each type, valid by the rules of whoever issues them, and made-up look-alikes that are not.

Nothing here imports the detectors: what is drawn must not lean on what is tested.
"""

from __future__ import annotations

import base64
import string
from collections.abc import Callable
from random import Random

FIRST = (
    "mario giulia luca chiara anna john emily james olivia harry sophie pierre camille lea hans greta juergen klaus maria "
    "jose carmen lucia diego aiko wei fatima omar priya rahul nina igor olga sven bjorn zoe kwame"
).split()
LAST = (
    "rossi bianchi ferrari esposito smith jones taylor brown wilson martin bernard dubois moreau schmidt mueller weber "
    "fischer becker garcia lopez sanchez fernandez tanaka chen khan patel ivanova lindqvist mensah okafor oconnor"
).split()
DOMAINS = (
    "example.com example.org example.net mail.example.com corp.example.io gmail.com outlook.com yahoo.co.uk libero.it "
    "web.de orange.fr telefonica.es uni-bonn.de acme-shop.eu sub.dept.agency.gov bücher.example proton.me startup.ai "
    "example.technology posta.comune.it"
).split()
ALPHANUMERIC = string.ascii_letters + string.digits
BASE64 = ALPHANUMERIC + "+/"
URL_SAFE = ALPHANUMERIC + "-_"


def digits(r: Random, count: int) -> str:
    return "".join(r.choice(string.digits) for _ in range(count))


def text(r: Random, count: int, alphabet: str = ALPHANUMERIC) -> str:
    return "".join(r.choice(alphabet) for _ in range(count))


def email(r: Random) -> str:
    first, last = r.choice(FIRST), r.choice(LAST)
    local = r.choice(
        (
            f"{first}.{last}",
            f"{first}{r.randrange(1000)}",
            f"{first[0]}{last}",
            f"{first}_{last}",
            f"{first}-{last}",
            f"{first}.{last}+{r.choice(('spam', 'news', 'aws'))}",
            f"{first.title()}.{last.title()}",
            f"{last}{r.randrange(60, 99)}",
            f"{first[0]}.{last}",
            r.choice(("info", "billing", "no-reply", "support", "o'neil")),
        )
    )
    domain = r.choice(DOMAINS)
    while not domain.isascii():
        domain = r.choice(DOMAINS)
    return f"{local}@{domain}"


def _us_number(r: Random) -> tuple[str, str, str]:
    area = r.choice("212 646 718 415 650 408 312 773 206 305 617 512 214 404 202 703 213 310 619 702".split())
    return area, f"{r.randrange(2, 10)}{digits(r, 2)}", digits(r, 4)


def phone_us(r: Random) -> str:
    a, b, c = _us_number(r)
    return r.choice(
        (f"({a}) {b}-{c}", f"{a}-{b}-{c}", f"{a}.{b}.{c}", f"1-{a}-{b}-{c}", f"({a}){b}-{c}", f"{a} {b} {c}")
    )


def phone_us_bare(r: Random) -> str:
    return "".join(_us_number(r))


def phone_uk(r: Random) -> str:
    return r.choice(
        (
            f"07{r.choice('4579')}{digits(r, 2)} {digits(r, 6)}",
            f"020 7{digits(r, 3)} {digits(r, 4)}",
            f"0161 {r.randrange(2, 10)}{digits(r, 2)} {digits(r, 4)}",
            f"(0121) {r.randrange(2, 7)}{digits(r, 2)} {digits(r, 4)}",
            f"07{r.choice('4579')}{digits(r, 2)} {digits(r, 3)} {digits(r, 3)}",
        )
    )


def phone_it(r: Random) -> str:
    mobile = r.choice("328 333 334 339 340 347 348 349 320 380 391".split())
    return r.choice(
        (
            f"{mobile} {digits(r, 3)} {digits(r, 4)}",
            f"{mobile} {digits(r, 7)}",
            f"{mobile}-{digits(r, 7)}",
            f"02 {r.randrange(2, 9)}{digits(r, 7)}",
            f"06 {r.randrange(2, 9)}{digits(r, 3)} {digits(r, 4)}",
            f"011/{r.randrange(2, 9)}{digits(r, 6)}",
        )
    )


def phone_fr(r: Random) -> str:
    separator = r.choice((" ", ".", "-"))
    return separator.join([f"0{r.choice('1234567')}", *(f"{r.randrange(100):02d}" for _ in range(4))])


def phone_de(r: Random) -> str:
    return r.choice(
        (
            f"030 {r.randrange(2, 9)}{digits(r, 7)}",
            f"089/{r.randrange(2, 9)}{digits(r, 6)}",
            f"0{r.choice(('151', '160', '170', '171', '175'))} {r.randrange(2, 9)}{digits(r, 7)}"[:13],
            f"0221-{r.randrange(2, 9)}{digits(r, 6)}",
            f"(040) {r.randrange(2, 9)}{digits(r, 6)}",
        )
    )


def phone_es(r: Random) -> str:
    head = f"6{r.randrange(10)}{r.randrange(10)}"
    return r.choice(
        (
            f"{head} {digits(r, 3)} {digits(r, 3)}",
            f"91 {r.randrange(2, 9)}{digits(r, 2)} {digits(r, 2)} {digits(r, 2)}",
            f"{head} {digits(r, 2)} {digits(r, 2)} {digits(r, 2)}",
        )
    )


def phone_international(r: Random) -> str:
    a, b, c = _us_number(r)
    mobile = f"3{r.choice(('28', '33', '47', '49'))}"
    return r.choice(
        (
            f"+1 {a}-{b}-{c}",
            f"+1 ({a}) {b}-{c}",
            f"+44 7{r.choice('4579')}{digits(r, 2)} {digits(r, 6)}",
            f"+44 20 7{digits(r, 3)} {digits(r, 4)}",
            f"+44 (0)20 7{digits(r, 3)} {digits(r, 4)}",
            f"+39 {mobile} {digits(r, 3)} {digits(r, 4)}",
            f"+39 06 {r.randrange(2, 9)}{digits(r, 7)}",
            f"+33 6 {digits(r, 2)} {digits(r, 2)} {digits(r, 2)} {digits(r, 2)}",
            f"+49 151 {r.randrange(2, 9)}{digits(r, 7)}",
            f"+49-30-{r.randrange(2, 9)}{digits(r, 6)}",
            f"+34 6{digits(r, 2)} {digits(r, 3)} {digits(r, 3)}",
            f"+41 79 {r.randrange(2, 9)}{digits(r, 2)} {digits(r, 2)} {digits(r, 2)}",
            f"+31 6 {r.randrange(1, 6)}{digits(r, 7)}",
        )
    )


def phone_e164(r: Random) -> str:
    a, b, c = _us_number(r)
    return r.choice(
        (
            f"+1{a}{b}{c}",
            f"+447{r.choice('4579')}{digits(r, 8)}",
            f"+39347{digits(r, 7)}",
            f"+336{digits(r, 8)}",
            f"+49151{r.randrange(2, 9)}{digits(r, 7)}",
            f"+346{digits(r, 8)}",
            f"+4179{r.randrange(2, 9)}{digits(r, 6)}",
            f"+9198{digits(r, 8)}",
            f"+55119{r.randrange(6, 10)}{digits(r, 7)}",
        )
    )


def _luhn_digit(body: str) -> str:
    total = 0
    for place, character in enumerate(reversed(body)):
        value = int(character) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def card_digits(r: Random) -> str:
    head, length = r.choice(
        (("4", 16), ("4", 16), ("51", 16), ("55", 16), ("2223", 16), ("2720", 16), ("34", 15), ("37", 15), ("6011", 16))
        + (("65", 16), ("3528", 16), ("36", 14), ("3589", 16), ("622126", 16))
    )
    body = head + digits(r, length - len(head) - 1)
    return body + _luhn_digit(body)


def _grouped(number: str, separator: str) -> str:
    sizes = {16: (4, 4, 4, 4), 15: (4, 6, 5), 14: (4, 6, 4)}[len(number)]
    groups, place = [], 0
    for size in sizes:
        groups.append(number[place : place + size])
        place += size
    return separator.join(groups)


def card(r: Random) -> str:
    number = card_digits(r)
    return r.choice((number, number, _grouped(number, " "), _grouped(number, "-")))


def card_bad(r: Random) -> str:
    number = card_digits(r)
    return number[:-1] + str((int(number[-1]) + r.randrange(1, 10)) % 10)


_IBAN_BODIES: tuple[tuple[str, str], ...] = (
    ("DE", "n" * 18), ("IT", "a" + "n" * 10 + "c" * 12), ("FR", "n" * 10 + "c" * 11 + "nn"), ("ES", "n" * 20),
    ("GB", "aaaa" + "n" * 14), ("NL", "aaaa" + "n" * 10), ("BE", "n" * 12), ("AT", "n" * 16), ("CH", "nnnnn" + "c" * 12),
    ("PL", "n" * 24), ("SE", "n" * 20), ("NO", "n" * 11), ("PT", "n" * 21), ("IE", "aaaa" + "n" * 14), ("FI", "n" * 14),
    ("DK", "n" * 14), ("LU", "nnn" + "c" * 13), ("SM", "a" + "n" * 10 + "c" * 12), ("GR", "n" * 7 + "c" * 16),
    ("RO", "aaaa" + "c" * 16), ("MT", "aaaannnnn" + "c" * 18),
)  # fmt: skip


def iban_compact(r: Random) -> str:
    country, shape = r.choice(_IBAN_BODIES)
    choices = {"n": string.digits, "a": string.ascii_uppercase, "c": string.digits * 3 + string.ascii_uppercase}
    body = "".join(r.choice(choices[kind]) for kind in shape)
    number = "".join(str(int(character, 36)) for character in body + country + "00")
    return f"{country}{98 - int(number) % 97:02d}{body}"


def iban(r: Random) -> str:
    compact = iban_compact(r)
    return r.choice((compact, compact, " ".join(compact[i : i + 4] for i in range(0, len(compact), 4))))


def iban_bad(r: Random) -> str:
    compact = iban_compact(r)
    return compact[:2] + f"{(int(compact[2:4]) + r.randrange(1, 50)) % 97 + 2:02d}"[-2:] + compact[4:-1] + digits(r, 1)


def ssn_digits(r: Random) -> str:
    area = r.choice([n for n in range(1, 900) if n != 666])
    return f"{area:03d}{r.randrange(1, 100):02d}{r.randrange(1, 10000):04d}"


def ssn(r: Random) -> str:
    number = ssn_digits(r)
    return f"{number[:3]}-{number[3:5]}-{number[5:]}"


def ssn_spaced(r: Random) -> str:
    separator = r.choice((" ", "."))
    return separator.join(ssn(r).split("-"))


def ssn_bad(r: Random) -> str:
    return r.choice(
        (f"000-{digits(r, 2)}-{digits(r, 4)}", f"9{digits(r, 2)}-{digits(r, 2)}-{digits(r, 4)}", "666-12-3456")
    )


_ODD = dict(
    zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21) + (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2,
        4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23), strict=True)
)  # fmt: skip


def _fiscal_check(body: str) -> str:
    total = sum(_ODD[c] if place % 2 == 0 else (int(c) if c.isdigit() else ord(c) - 65) for place, c in enumerate(body))
    return chr(65 + total % 26)


def fiscal_code(r: Random) -> str:
    consonants = "BCDFGLMNPRSTVZ"
    day = r.randrange(1, 29) + r.choice((0, 40))
    body = (
        text(r, 6, consonants) + f"{r.randrange(30, 99)}" + r.choice("ABCDEHLMPRST") + f"{day:02d}"
        + r.choice(("H501", "F205", "L219", "A944", "D612", "G273", "Z404", "F839"))
    )  # fmt: skip
    if r.random() < 0.1:  # omocodia: digits from the right become letters
        body = body[:14] + "LMNPQRSTUV"[int(body[14])]
    return body + _fiscal_check(body)


def fiscal_code_bad(r: Random) -> str:
    code = fiscal_code(r)
    return code[:-1] + chr(65 + (ord(code[-1]) - 65 + r.randrange(1, 26)) % 26)


def nino(r: Random) -> str:
    head = r.choice("AB CE EH GJ HK JM KP LR MS NS PW RX SY TZ WA ZB JG".split())
    number, suffix = digits(r, 6), r.choice("ABCD")
    return r.choice((f"{head}{number}{suffix}", f"{head} {number[:2]} {number[2:4]} {number[4:]} {suffix}"))


def nir(r: Random) -> str:
    department = r.choice(["75", "13", "69", "33", "2A", "2B", "59"])
    body = f"{r.choice('12')}{r.randrange(40, 99)}{r.randrange(1, 13):02d}{department}{r.randrange(1, 999):03d}{r.randrange(1, 999):03d}"
    number = int(body.replace("2A", "19").replace("2B", "18"))
    key = f"{97 - number % 97:02d}"
    compact = body + key
    if r.random() < 0.5:
        return compact
    return f"{body[0]} {body[1:3]} {body[3:5]} {body[5:7]} {body[7:10]} {body[10:13]} {key}"


def tax_id(r: Random) -> str:
    while True:
        order = r.sample(string.digits, 10)
        order[r.randrange(1, 10)] = order[0] if r.random() < 0.5 else order[1]
        if (
            order[0] == "0"
            or len(set(order)) != 9
            or any(order[i] == order[i + 1] == order[i - 1] for i in range(1, 9))
        ):
            continue
        product = 10
        for character in order:
            total = (int(character) + product) % 10 or 10
            product = total * 2 % 11
        compact = "".join(order) + str((11 - product) % 10)
        return r.choice((compact, f"{compact[:2]} {compact[2:5]} {compact[5:8]} {compact[8:]}"))


def spanish_id(r: Random) -> str:
    letters = "TRWAGMYFPDXBNJZSQVHLCKE"
    if r.random() < 0.3:
        prefix, number = r.choice("XYZ"), digits(r, 7)
        return f"{prefix}{number}{letters[int(str('XYZ'.index(prefix)) + number) % 23]}"
    number = digits(r, 8)
    return r.choice((f"{number}{letters[int(number) % 23]}", f"{number}-{letters[int(number) % 23]}"))


def spanish_id_bad(r: Random) -> str:
    number = digits(r, 8)
    return number + "TRWAGMYFPDXBNJZSQVHLCKE"[(int(number) + r.randrange(1, 23)) % 23]


def passport(r: Random) -> str:
    return r.choice(
        (f"{text(r, 2, 'ABCEY')}{digits(r, 7)}", f"{r.choice('ABCX')}{digits(r, 8)}", digits(r, 9),
         f"{digits(r, 2)}{text(r, 2, 'ABCDEF')}{digits(r, 5)}", f"{text(r, 3, 'ABCDX')}{digits(r, 6)}",
         f"C{text(r, 1, 'FGHJK')}{digits(r, 2)}{text(r, 1, 'FGHJKLT')}{digits(r, 4)}")
    )  # fmt: skip


MONTHS = "January February March April May June July August September October November December".split()


def birth_date(r: Random) -> str:
    year, month, day = r.randrange(1935, 2008), r.randrange(1, 13), r.randrange(1, 29)
    return r.choice(
        (f"{year}-{month:02d}-{day:02d}", f"{year}-{month:02d}-{day:02d}", f"{day:02d}/{month:02d}/{year}",
         f"{month:02d}/{day:02d}/{year}", f"{day:02d}.{month:02d}.{year}", f"{day:02d}-{month:02d}-{year}",
         f"{day} {MONTHS[month - 1]} {year}", f"{MONTHS[month - 1]} {day}, {year}", f"{day} {MONTHS[month - 1][:3]} {year}")
    )  # fmt: skip


def ipv4(r: Random) -> str:
    first = r.choice((10, 192, 172, 203, 198, 8, 52, 34, 151, 93, 185, 91))
    second = {192: 168, 172: 16 + r.randrange(16)}.get(first, r.randrange(256))
    return f"{first}.{second}.{r.randrange(256)}.{r.randrange(1, 255)}"


def ipv6(r: Random) -> str:
    def group() -> str:
        return f"{r.randrange(1, 65536):x}"

    return r.choice(
        (f"2001:db8:{group()}::{group()}", f"fe80::{group()}:{group()}:{group()}:{group()}",
         ":".join(["2001", "db8", *(group() for _ in range(6))]), f"2a02:{group()}:{group()}:{group()}::1",
         f"fd{r.randrange(256):02x}:{group()}:{group()}::{group()}", f"::ffff:{ipv4(r)}", "::1", f"2606:4700::{group()}",
         ":".join(f"{r.randrange(65536):04X}" for _ in range(8)), f"64:ff9b::{group()}:{group()}")
    )  # fmt: skip


def mac(r: Random) -> str:
    octets = [f"{r.randrange(256):02x}" for _ in range(6)]
    octets[0] = r.choice(("00", "3c", "a4", "f8", "02", "de"))
    return r.choice(
        (":".join(octets), ":".join(octets).upper(), "-".join(octets).upper(), "-".join(octets),
         ".".join(octets[i] + octets[i + 1] for i in (0, 2, 4)))
    )  # fmt: skip


def coordinates(r: Random) -> str:
    return (
        f"{r.uniform(-60, 70):.{r.randrange(4, 8)}f},{r.choice(('', ' '))}{r.uniform(-170, 170):.{r.randrange(4, 8)}f}"
    )


def latitude(r: Random) -> str:
    return f"{r.uniform(-70, 70):.6f}"


def longitude(r: Random) -> str:
    return f"{r.uniform(-170, 170):.6f}"


def access_key(r: Random) -> str:
    return r.choice(("AKIA", "AKIA", "ASIA")) + text(r, 16, string.ascii_uppercase + "234567")


def secret_key(r: Random) -> str:
    while True:
        value = text(r, 40, BASE64)
        if any(c.isdigit() for c in value) and any(c in "+/" for c in value):
            return value


def _segment(r: Random, document: str) -> str:
    return base64.urlsafe_b64encode(document.encode()).decode().rstrip("=")


def jwt(r: Random) -> str:
    header = r.choice(
        ('{"alg":"HS256","typ":"JWT"}', '{"alg":"RS256","kid":"' + text(r, 8) + '"}', '{"typ":"JWT","alg":"ES256"}')
    )
    claims = f'{{"sub":"{r.randrange(10**6)}","iat":{r.randrange(10**9, 2 * 10**9)},"name":"{r.choice(FIRST)}"}}'
    return f"{_segment(r, header)}.{_segment(r, claims)}.{text(r, r.choice((43, 86)), URL_SAFE)}"


def private_key(r: Random) -> str:
    kind = r.choice(("RSA ", "", "EC ", "OPENSSH ", "ENCRYPTED "))
    lines = "⏎".join(text(r, 64, BASE64) for _ in range(r.randrange(2, 5)))
    return f"-----BEGIN {kind}PRIVATE KEY-----⏎{lines}⏎-----END {kind}PRIVATE KEY-----"


_ISSUED: tuple[Callable[[Random], str], ...] = (
    lambda r: f"ghp_{text(r, 36)}", lambda r: f"gho_{text(r, 36)}", lambda r: f"ghs_{text(r, 36)}",
    lambda r: f"github_pat_{text(r, 22)}_{text(r, 59)}", lambda r: f"glpat-{text(r, 20, URL_SAFE)}",
    lambda r: f"xoxb-{digits(r, 11)}-{digits(r, 12)}-{text(r, 24)}", lambda r: f"xoxp-{digits(r, 11)}-{digits(r, 11)}-{text(r, 32)}",
    lambda r: f"sk_live_{text(r, 24)}", lambda r: f"sk_test_{text(r, 24)}", lambda r: f"rk_live_{text(r, 24)}",
    lambda r: f"AIza{text(r, 35, URL_SAFE)}", lambda r: f"sk-{text(r, 48)}", lambda r: f"sk-proj-{text(r, 48, URL_SAFE)}x",
    lambda r: f"sk-ant-api03-{text(r, 80, URL_SAFE)}AA", lambda r: f"npm_{text(r, 36)}",
    lambda r: f"SG.{text(r, 22)}.{text(r, 43)}", lambda r: f"hf_{text(r, 34, string.ascii_letters)}",
    lambda r: f"dop_v1_{text(r, 64, '0123456789abcdef')}", lambda r: f"key-{text(r, 32, '0123456789abcdef')}",
    lambda r: f"SK{text(r, 32, '0123456789abcdef')}",
    lambda r: f"pypi-AgEIcHlwaS5vcmc{text(r, 60, URL_SAFE)}", lambda r: f"shpat_{text(r, 32, '0123456789abcdef')}",
    lambda r: f"hvs.{text(r, 90)}", lambda r: f"{digits(r, 10)}:AA{text(r, 33, URL_SAFE)}", lambda r: f"AGE-SECRET-KEY-1{text(r, 58, '023456789ACDEFGHJKLMNPQRSTUVWXYZ')}",
)  # fmt: skip


def issued_token(r: Random) -> str:
    """A token with an issuer's prefix."""
    return r.choice(_ISSUED)(r)


def opaque_token(r: Random) -> str:
    """A token that only its surroundings give away."""
    return r.choice(
        (
            text(r, r.randrange(24, 48)),
            text(r, 32, "0123456789abcdef"),
            text(r, 40, URL_SAFE) + "a",
            text(r, 43, ALPHANUMERIC) + "=",
        )
    )


def basic(r: Random) -> str:
    return base64.b64encode(f"{r.choice(FIRST)}{r.randrange(99)}:{text(r, r.randrange(6, 20))}".encode()).decode()


def password(r: Random) -> str:
    word = r.choice(("Sommer", "dragon", "Passw0rd", "qwerty", "Juventus", "letmein", "S3cure", "correcthorse", "Zx"))
    return r.choice(
        (f"{word}{r.randrange(10, 9999)}{r.choice('!$#*?')}", f"{word}{r.randrange(10, 99)}", text(r, r.randrange(8, 20)),
         f"{text(r, 4)}-{text(r, 4)}-{text(r, 4)}", f"{r.choice(FIRST)}{r.randrange(1960, 2010)}", f"{word}_{text(r, 5)}!")
    )  # fmt: skip


def url_password(r: Random) -> str:
    return r.choice(
        (
            text(r, r.randrange(8, 20)),
            f"{r.choice(FIRST)}{r.randrange(99)}%21",
            f"p%40{text(r, 7)}",
            f"{text(r, 6)}-{text(r, 5)}",
        )
    )


def credentials(r: Random) -> str:
    user = r.choice(("app", "admin", "svc_billing", r.choice(FIRST), "root", "readonly"))
    return f"{user}:{url_password(r)}"


VALUES: dict[str, Callable[[Random], str]] = {
    "EMAIL": email, "PHONE": phone_international, "PHONE:us": phone_us, "PHONE:us_bare": phone_us_bare,
    "PHONE:uk": phone_uk, "PHONE:it": phone_it, "PHONE:fr": phone_fr, "PHONE:de": phone_de, "PHONE:es": phone_es,
    "PHONE:e164": phone_e164, "CREDIT_CARD": card, "CREDIT_CARD:digits": card_digits, "IBAN": iban,
    "IBAN:compact": iban_compact, "IBAN:lower": lambda r: iban_compact(r).lower(), "US_SSN": ssn, "US_SSN:digits": ssn_digits,
    "US_SSN:spaced": ssn_spaced, "IT_FISCAL_CODE": fiscal_code, "IT_FISCAL_CODE:lower": lambda r: fiscal_code(r).lower(),
    "UK_NINO": nino, "FR_NIR": nir, "DE_TAX_ID": tax_id, "ES_ID": spanish_id, "PASSPORT": passport,
    "DATE_OF_BIRTH": birth_date, "IPV4": ipv4, "IPV6": ipv6, "MAC": mac, "GEO": coordinates, "GEO:lat": latitude,
    "GEO:lon": longitude, "AWS_ACCESS_KEY": access_key, "AWS_SECRET_KEY": secret_key, "JWT": jwt,
    "PRIVATE_KEY": private_key, "API_TOKEN": issued_token, "API_TOKEN:opaque": opaque_token, "API_TOKEN:basic": basic,
    "PASSWORD": password, "URL_CREDENTIALS": credentials, "URL_CREDENTIALS:colon": lambda r: ":" + url_password(r),
}  # fmt: skip
"""What `«NAME»` in a template stands for; the part before the colon is the label."""
