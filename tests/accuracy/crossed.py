"""Lines of the set `crossed`: each type's field names in each way logs write a field, values and near misses alike.

`crossed_templates.txt` adds contexts by hand. `generate_crossed` is deterministic.
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from tests.accuracy.corpus import FOLDER, Line, fill, generate, write
from tests.accuracy.crossed_values import CROSSED_VALUES, card_digits, fiscal_code, iban_plain, mask, one_of
from tests.accuracy.noise import NOISE

_SEED = 71


class Form(NamedTuple):
    """A way to write a field: `{K}` its name, `{V}` its value."""

    template: str
    names: str = "snake camel kebab pascal upper"
    """Styles of the field's name that such a format has."""
    encoding: str = ""
    bare: bool = False
    """Whether nothing tells where the value ends but a space, comma, semicolon or bracket."""


_IDENTIFIER = "snake camel pascal upper"
FORMS = tuple(
    Form(*form)
    for form in (
        ('{"ts":"‹ts›","lvl":"info","{K}":"{V}"}',),
        ('{"request":{"id":"‹uuid›","body":{"locale":"it_IT","{K}":"{V}","attempt":‹small›}},"status":422}',),
        ('{"fields":[{"name":"{K}","value":"{V}"},{"name":"page","value":"3"}]}',),
        ('‹ts› INFO svc=onboarding {K}={V} dur=‹small›ms', _IDENTIFIER, "", True),
        ('level=debug caller=form.go:‹small› msg="form posted" {K}="{V}" trace=‹hex16›',),
        ('{K}: {V}', "snake camel kebab spaced title"),
        ("{K}: '{V}'", "snake camel kebab"),
        ("DEBUG:root:payload {'page': ‹small›, '{K}': '{V}', 'ok': True}",),
        ('  Parameters: {"utf8"=>"✓", "{K}"=>"{V}", "commit"=>"Save"}', "snake camel"),
        ('Array⏎(⏎    [page] => ‹small›⏎    [{K}] => {V}⏎    [ok] => 1⏎)', "snake camel"),
        ('saved Customer(id=‹small›, {K}={V}, active=true)', "snake camel", "", True),
        ("merge Customer{id=‹small›, {K}='{V}', version=2}", "snake camel"),
        ('got &{ID:‹small› {K}:{V} Active:true}', "pascal", "", True),
        ('<entry page="‹small›" {K}="{V}"/>', "snake camel kebab pascal", "xml"),
        ('<soap:Body><page>‹small›</page><{K}>{V}</{K}></soap:Body>', "snake camel kebab pascal", "xml"),
        ('<ns2:{K} xsi:type="xsd:string">{V}</ns2:{K}>', "camel pascal", "xml"),
        ('"POST /v2/form?page=‹small›&{K}={V}&lang=fr HTTP/1.1" 302 ‹int›', "snake camel kebab", "percent"),
        ('raw body: page=‹small›&{K}={V}', "snake camel", "percent"),
        ('next=https%3A%2F%2Fshop.example%2Fform%3Fpage%3D2%26{K}%3D{V}', "snake camel", "twice"),
        ('{"message":"{\\"page\\":‹small›,\\"{K}\\":\\"{V}\\"}","stream":"stdout"}',),
        ('{"log":"{\\\\\\"{K}\\\\\\":\\\\\\"{V}\\\\\\",\\\\\\"page\\\\\\":‹small›}","time":"‹ts›"}', "snake camel"),
        ("[SQL] UPDATE customers SET {K} = '{V}', touched_at = now() WHERE id = ‹int›", "snake"),
        ("execute <unnamed>: INSERT INTO customers (id, {K}, page) VALUES (‹int›, '{V}', NULL)", "snake"),
        ("SELECT * FROM customers WHERE {K}='{V}' LIMIT 1 -- ‹float› ms", "snake"),
        ('| {K} | {V} |', "snake title spaced"),
        ('[debug] {K} -> {V}', "snake camel", "", True),
        ('{K} := "{V}"', "snake camel"),
        ('ログイン：{K}＝「{V}」を受信', "snake camel"),
        ('✅ {K}: {V} 🎉', "snake title", "", True),
        ('*{K}*: `{V}`', "snake title spaced"),
        ("  - name: {K}⏎    value: \"{V}\"", "snake upper"),
        ('Content-Disposition: form-data; name="{K}"⏎⏎{V}⏎--‹hex16›', "snake camel kebab"),
        ('event: form⏎data: {"{K}":"{V}"}', "snake camel"),
        ("var {K} = '{V}';", "camel snake"),
        ('{"attributes":[{"key":"{K}","value":{"stringValue":"{V}"}}]}', "snake kebab camel"),
        ('[{K}="{V}"][page="‹small›"]', "snake kebab"),
        ('{K}="{V}" ({elapsed} ms)'.replace("{elapsed}", "‹small›"), "snake upper"),
        ('&lt;{K}&gt;{V}&lt;/{K}&gt;', "snake camel", "xml"),
        ('{"page":‹small›,"{K}":["{V}"]}', "snake camel"),
        ("({K}: {V})", "snake spaced", "", True),
        ('export {K}={V}', "upper", "", True),
        ("-D{K}={V} -Xmx512m", "dotted", "", True),
        ('{K} = {V}', "dotted snake", "", True),
    )
)  # fmt: skip
FIELDS = {
    "EMAIL": ("EMAIL:plain", "email|user email|contact mail|e mail|recipient|reply to|login"),
    "PHONE": ("PHONE", "phone|phone number|mobile|mobile number|contact phone|telephone|tel|home phone|telefono|handynummer|whatsapp number|cell phone"),
    "CREDIT_CARD": ("CREDIT_CARD", "card number|pan|credit card|cc number|primary account number|payment card"),
    "IBAN": ("IBAN:plain", "iban|account|beneficiary iban|bank account|debtor account"),
    "US_SSN": ("US_SSN", "ssn|social security number|tax payer|member id|applicant ssn"),
    "IT_FISCAL_CODE": ("IT_FISCAL_CODE", "codice fiscale|fiscal code|cf|tax code|customer tax id"),
    "UK_NINO": ("UK_NINO", "nino|national insurance number|ni number|national insurance"),
    "FR_NIR": ("FR_NIR", "nir|numero secu|insee number|social security"),
    "DE_TAX_ID": ("DE_TAX_ID", "steuer id|tax id de|steuerliche identifikationsnummer|steuer identifikationsnummer|idnr"),
    "ES_ID": ("ES_ID", "dni|nie|nif|documento|id document"),
    "PASSPORT": ("PASSPORT", "passport|passport number|passport no|travel passport|pasaporte"),
    "DATE_OF_BIRTH": ("DATE_OF_BIRTH", "dob|date of birth|birth date|birthday|geburtsdatum|data nascita|date naissance|fecha nacimiento"),
    "IPV4": ("IPV4", "client ip|remote addr|ip|source ip|peer address|host"),
    "IPV6": ("IPV6", "client ip|remote addr|ip|src|peer address"),
    "MAC": ("MAC", "mac|mac address|device mac|bssid|hw addr"),
    "GEO": ("GEO", "lat|latitude|geo lat|location lat|home latitude"),
    "AWS_ACCESS_KEY": ("AWS_ACCESS_KEY", "aws access key id|access key|access key id|key id|credential"),
    "AWS_SECRET_KEY": ("AWS_SECRET_KEY", "aws secret access key|secret access key|aws secret key|s3 secret key|aws secret"),
    "JWT": ("JWT", "id token|access token|jwt|token|session|assertion"),
    "API_TOKEN": ("API_TOKEN", "api key|access token|auth token|api token|refresh token|x api key|github token|slack token|bot token|personal access token|service api key"),
    "PASSWORD": ("PASSWORD:any", "password|passwd|db password|user password|new password|pwd|passphrase|client secret|smtp pass|current password|admin password|passwort|mot de passe|contraseña|password confirmation"),
}  # fmt: skip
"""(values, field names) of each type that stands in fields."""
_DOUBLE = ("PASSWORD", "API_TOKEN", "AWS_SECRET_KEY", "PHONE")
_MASKED = (
    "***", "********", "<redacted>", "[REDACTED]", "[FILTERED]", "${%s}", "{{ %s }}", "xxxxxxxx", "<hidden>", "null", "", "string", "(null)", "<%s>",
    "REDACTED", "••••••••", "None", "undefined", "*****1234", "[hidden]", "true", "$%s", "{{secrets.%s}}", "your-%s-here", "<secret>", "N/A",
)  # fmt: skip


def _changed(number: str, r: Random) -> str:
    """The same with another last digit: fails its check."""
    return number[:-1] + r.choice([c for c in "0123456789" if c != number[-1]])


NEAR_MISSES: dict[str, Callable[[Random], str]] = {
    "masked_email": one_of("j***@e***.com", "***@***", "user@", "@acme", "a@b"),
    "not_email": one_of("@babel/core@7.##.#", "node@18.##.1", "user@host", "git@gitlab:team/x", "icon@3x.png", "sha256@%%%%%%%%", "session@%%%%%%%%"),
    "not_phone": one_of("ORD-##########", "#.########", "1.########", "#####-%%%%-####", "1Z###@@####", "000000", "123", "x####", "###.###"),
    "not_card": lambda r: r.choice((_changed(card_digits(r), r), "0000000000000000", mask(r, "9###############"), mask(r, "4111############").replace("4111", "1111"), "4111 **** **** 1111")),
    "not_iban": lambda r: r.choice((_changed(iban_plain(r), r), mask(r, "ZZ##############"), mask(r, "%%%%%%%%%%%%%%%%%%%%%%"), "DE** **** **** 3000")),
    "not_ssn": one_of("000-##-####", "9##-##-####", "666-##-####", "***-**-####", "###-00-####", "###-##-####-#", "####-##-##"),
    "not_fiscal": lambda r: (code := fiscal_code(r))[:-1] + ("A" if code[-1] != "A" else "B"),
    "not_nino": one_of("QQ######C", "GB######A", "AB######X", "AB#####C", "FF######9"), "not_nir": one_of("1234567890123", "3##############", "0##############"),
    "not_tax": one_of("00000000000", "11111111111", "##########", "12345678901234"), "not_es": one_of("1234567#", "0000000I", "X########", "########I"),
    "not_passport": one_of("expired", "valid", "none", "pending_review", "true", "US"), "not_birth": one_of("unknown", "required", "1", "date", "true", "YYYY-MM-DD"),
    "not_ip": one_of("#.##.###", "v1.2.3.4", "300.1.2.3", "1.2.3", "localhost", "2026.11.25", "10.0.0.0.1", "999.##.##.##", "db-#.internal"),
    "not_ip6": one_of("::", "12:34:56", "std::string", "a::b::c", "##:##:##.###", "Foo::Bar", "1:2:3"), "not_mac": one_of("ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "%%:%%:%%", "%%:%%:%%:%%:%%:%%:%%:%%"),
    "not_geo": one_of("N/A", "north", "null", "high", "1", "0"), "not_aws": one_of("AKIA" + "*" * 16, "AKIA" + "X" * 16, "AIDA" + "@" * 16, "AKIA@@@@", "arn:aws:iam::############:role/x"),
    "not_secret": lambda r: r.choice(("*" * 40, "x" * 40, "<secret>", "${AWS_SECRET_ACCESS_KEY}", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db", "REDACTED")),
    "not_jwt": lambda r: r.choice(("eyJ…", "[JWT]", "header.payload.signature", "eyJ***", "com.example.Jwt", str(uuid.UUID(int=r.getrandbits(128), version=4)))),
    "not_token": lambda r: r.choice(("ghp_" + "x" * 36, "sk-...", "xoxb-***", "glpat-********", "Bearer", str(uuid.UUID(int=r.getrandbits(128), version=4)), "sk_live_" + "*" * 12, "expired", "invalid", "3600", "<token>")),
    "not_password": lambda r: r.choice(_MASKED[:7] + ("required", "string", "varchar(255)", "null", "true", "<password>", "[PROTECTED]", "*")),
    "digits15": lambda r: "26201" + mask(r, "##########"),
    "blob": lambda r: base64.b64encode(r.randbytes(r.randrange(30, 90))).decode(), "vin": lambda r: mask(r, "WVWZZZ1KZ@W######"),
    "isbn": lambda r: "978-" + mask(r, "#-##-######-#"), "ean": lambda r: mask(r, "40#0###0####0"), "tracking": one_of("1Z999AA1##########", "JJD00############", "RR#########DE", "92#0 #### #### #### #### ##"),
}  # fmt: skip
_MISS_OF = {
    "EMAIL": "not_email", "PHONE": "not_phone", "CREDIT_CARD": "not_card", "IBAN": "not_iban", "US_SSN": "not_ssn", "IT_FISCAL_CODE": "not_fiscal", "UK_NINO": "not_nino",
    "FR_NIR": "not_nir", "DE_TAX_ID": "not_tax", "ES_ID": "not_es", "PASSPORT": "not_passport", "DATE_OF_BIRTH": "not_birth", "IPV4": "not_ip", "IPV6": "not_ip6", "MAC": "not_mac",
    "GEO": "not_geo", "AWS_ACCESS_KEY": "not_aws", "AWS_SECRET_KEY": "not_secret", "JWT": "not_jwt", "API_TOKEN": "not_token", "PASSWORD": "not_password",
}  # fmt: skip


def _named(words: str, style: str) -> str:
    parts = words.split()
    titled = [part.title() for part in parts]
    return {
        "snake": "_".join(parts), "kebab": "-".join(parts), "upper": "_".join(parts).upper(), "dotted": "app." + ".".join(parts), "spaced": words,
        "camel": parts[0] + "".join(titled[1:]), "pascal": "".join(titled), "title": " ".join(titled),
    }[style]  # fmt: skip


def _field_line(form: Form, words: str, slot: str, r: Random, origin: str) -> Line:
    name = _named(words, r.choice(form.names.split()))
    template = form.template.replace("{K}", name).replace("{V}", slot)
    return fill(template, origin, r, CROSSED_VALUES, NOISE | NEAR_MISSES)


def _fields(r: Random) -> Iterator[Line]:
    for pii_type, (slot, names) in FIELDS.items():
        forms = list(FORMS) * (2 if pii_type in _DOUBLE else 1)
        r.shuffle(forms)
        for number, form in enumerate(forms[: 60 if pii_type in _DOUBLE else 20]):
            encoding = f"|{form.encoding}" if form.encoding else ""
            value = (
                "PASSWORD" if pii_type == "PASSWORD" and (form.bare or form.template.startswith("{K}: {V}")) else slot
            )
            if (
                pii_type in ("PHONE", "CREDIT_CARD", "UK_NINO", "FR_NIR", "DE_TAX_ID", "DATE_OF_BIRTH")
                and form.bare
                and "=" in form.template
            ):
                continue  # a value with spaces needs quotes there
            words = r.choice(names.split("|"))
            yield _field_line(form, words, f"«{value}{encoding}»", r, f"{pii_type} field {FORMS.index(form)}.{number}")


def _missed_fields(r: Random) -> Iterator[Line]:
    for pii_type, (_, names) in FIELDS.items():
        for number in range(20 if pii_type in _DOUBLE else 10):
            form, words = r.choice(FORMS), r.choice(names.split("|"))
            masked = r.choice(_MASKED)
            slot = f"‹{_MISS_OF[pii_type]}›" if number % 2 else masked.replace("%s", re.sub(r"\W", "_", words))
            yield _field_line(form, words, slot, r, f"{pii_type} near {number}")


def generate_crossed() -> Iterator[Line]:
    r = Random(_SEED)
    yield from _fields(r)
    yield from _missed_fields(r)
    yield from generate(FOLDER / "crossed_templates.txt", _SEED, 2, CROSSED_VALUES, NOISE | NEAR_MISSES)


if __name__ == "__main__":
    write(FOLDER / "crossed.jsonl", generate_crossed())
