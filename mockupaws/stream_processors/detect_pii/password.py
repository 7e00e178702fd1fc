"""PASSWORD: what is assigned to a name such as `password` or `client_secret`, in code, SQL, command lines and prose."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.assigned_value import (
    CLOSING,
    OF_PAIR,
    SIGN,
    follows_mark,
    is_masked,
    is_strong,
    spoken_after,
    value_after,
)
from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span
from mockupaws.stream_processors.detect_pii.password_commands import COMMANDS
from mockupaws.stream_processors.detect_pii.password_names import NAME_AT_END, NAMES, WORDS

_NAME_AT_START = re.compile(rf"[a-z_.-]{{0,16}}{NAMES}[\"']?(?:=>|:=|==?|:)".encode("latin-1"), re.IGNORECASE)
_PROSE = re.compile(rb"[A-Za-z]?[a-z'\xc3\xa0-\xc3\xbf]{0,64}[.,;:!?]?\Z")
_ELSEWHERE = (b"/", b"org.", b"com.", b"arn:", b"op://", b"vault:", b"ssm:")
"""Files, classes, and where a store of secrets keeps the value."""
_TEXT_AFTER = re.compile(rb"[ ][A-Za-z]")
_CODE = re.compile(
    rb"(?:[A-Za-z_]\w{0,64}(?:\.|->|::)){1,8}\w{0,64}(?:pass|pwd|secret|key|token|env)\w{0,64}\Z", re.IGNORECASE
)
_CALL_AFTER = (b"(", b"[")
_SHELL_VARIABLE = re.compile(rb"\$\{[A-Za-z0-9_]{1,64}:\Z")
"""`${DB_PASSWORD:?missing}` and `:+x` say nothing; what follows `:-` is the value where none is set."""
_LONGEST_VARIABLE = 70
_SIGN_GOES_ON = (b"=", b">")
"""Of `:=`, `==` and `=>` the whole is a hit of its own."""
_RESOURCE_NAME = re.compile(rb"arn:[a-z-]{3,10}:[^\s\"',\x00]{0,80}\Z")
_LONGEST_RESOURCE_NAME = 96
_DRIVE = re.compile(rb"[A-Za-z]:\Z")


def check_assignment(data: bytes, end: int) -> Span | None:
    span = value_after(data, end)
    if span is None or follows_mark(data, end) or data[end : end + 1] in _SIGN_GOES_ON:
        return None
    start, stop = span
    value = data[start:stop]
    if data.rfind(b"arn:", max(0, end - _LONGEST_RESOURCE_NAME), end) >= 0 and _RESOURCE_NAME.search(
        data, max(0, end - _LONGEST_RESOURCE_NAME), end
    ):
        return None  # `:secret:` in the name of one
    if _SHELL_VARIABLE.search(data, max(0, end - _LONGEST_VARIABLE), end):
        return (start + 1, stop) if value.startswith(b"-") and len(value) > 1 else None
    assigns = b"=" in value or b":" in value
    if assigns and _NAME_AT_START.match(value):
        return None
    if value.startswith(_ELSEWHERE):
        return None
    if data[start - 1 : start] in (b'"', b"'", b"`"):
        return None if _is_separator(value) else span
    if (
        data[stop : stop + 1] in _CALL_AFTER
        or ((assigns or b"." in value or b">" in value) and _CODE.match(value))
        or (assigns and _DRIVE.match(value) and data[stop : stop + 1] == b"\\")
    ):
        return None
    spaced = data[end - 1] == 58 and start > end
    return None if spaced and (_PROSE.match(value) and (len(value) < 8 or _TEXT_AFTER.match(data, stop))) else span


def _is_separator(value: bytes) -> bool:
    """Whether what looks like a quoted value is the text between two others: `"password": ", "x"`."""
    return not value.strip(b" ,:=;&")


def check_statement(data: bytes, end: int) -> Span | None:
    """The hit ends with the quote that opens the value."""
    return value_after(data, end - 1)


_CLAUSES = (b"values", b"value", b"externally", b"globally", b"password", b"the")


def check_unquoted(data: bytes, end: int) -> Span | None:
    """The hit ends with the first character after `IDENTIFIED BY`; Oracle takes the password unquoted."""
    span = value_after(data, end - 1)
    return None if span is None or data[span[0] : span[1]].lower() in _CLAUSES else span


_MIXED = rb"(?=[^\s\x00]*[0-9])(?=[^\s\x00]*[a-z])(?=[^\s\x00]*[A-Z!@#$%^&*?])"
_DIRECT = re.compile(
    rb"(?P<quote>[\"'`])(?P<quoted>(?=[^\"'`\x00]*[0-9])(?=[^\"'`\x00]*[a-z])(?=[^\"'`\x00]*[A-Z!@#$%%^&*?])[^\"'`\x00\n]{6,64})(?P=quote)"
    rb"|(?:\|[ ]{1,2})?(?P<word>%b[^\s,;:()\[\]{}\"'<>\\/=|\x00]{8,64})(?![^\s.,;\"'\x00])" % _MIXED
)


def check_direct(data: bytes, end: int) -> Span | None:
    """`password X`, also in the cells of a table: only what mixes letters of both cases or signs with digits."""
    word = _DIRECT.match(data, end)
    if word is None:
        return None
    start, stop = word.span(word.lastgroup or 0)
    while word.lastgroup == "word" and data[stop - 1] in b".,;":
        stop -= 1
    return start, stop


_USED = re.compile(
    rb"(?!scram|sha|md5|pbkdf|bcrypt|argon|%b)(?=[^\s\x00]*[0-9])(?=[^\s\x00]*[A-Za-z])[^\s,;:()\[\]{}\"'<>\\/=|\x00]{8,64}(?![^\s.,;\x00])"
    % rb"[a-z-]{1,40}[0-9]?(?:[\s\x00]|\Z)",
    re.IGNORECASE,
)


def check_used(data: bytes, end: int) -> Span | None:
    """`with password X`: X has letters and digits."""
    word = _USED.match(data, end)
    return None if word is None else (end, word.end() - (word[0][-1] in b".,;"))


def check_call(data: bytes, end: int) -> Span | None:
    """`auth("bob", "X")`; the hit ends with the quote that opens X."""
    span = value_after(data, end - 1)
    return span if span is not None and is_strong(data[slice(*span)]) else None


_CONTENT = re.compile(rb"(?:<!\[CDATA\[)?\s{0,8}([^<>\x00]{1,512}?)\s{0,8}(?:\]\]>)?</")
_SENTENCE = re.compile(rb"[A-Za-z']{1,24}(?: [A-Za-z']{1,24}){1,24}[.:?!]?")


def check_element(data: bytes, end: int) -> Span | None:
    """All that an element holds, but a label's words."""
    content = _CONTENT.match(data, end)
    return None if content is None or is_masked(content[1]) or _SENTENCE.fullmatch(content[1]) else content.span(1)


_COLUMNS = re.compile(
    rb"\(([^()\x00]{1,400})\)[ \t\r\n]{0,4}values[ \t\r\n]{0,4}\(((?:'(?:[^'\x00]|''){0,512}'|[^()'\x00]{1,256}+|\([^()\x00]{0,64}\)){1,64}+)\)",
    re.IGNORECASE,
)
_FIELD = re.compile(
    rb"[ \t\r\n]{0,8}('(?:[^'\x00]|''){0,512}'|(?:[^,'()\x00]|\([^()\x00]{0,64}\)){1,128})[ \t\r\n]{0,8}(?:,|\Z)"
)


def check_insert(data: bytes, end: int) -> Span | None:
    """`INSERT INTO t (a, password) VALUES (1, 'x')`: the value in the place of the column."""
    opened = data.find(b"(", end, end + 100)
    statement = _COLUMNS.match(data, opened, end + 2600) if opened >= 0 else None
    if statement is None:
        return None
    names = [name.strip(b" \t\r\n`\"'[]") for name in statement[1].split(b",")]
    place = next((number for number, name in enumerate(names) if NAME_AT_END.search(name)), None)
    if place is None:
        return None
    for number, field in enumerate(_FIELD.finditer(data, *statement.span(2))):
        if number == place:
            start, stop = field.span(1)
            quoted = data[start : start + 1] == b"'"
            return (start + 1, stop - 1) if quoted and not is_masked(data[start + 1 : stop - 1]) else None
    return None


PASSWORD = Detector(
    pii_type="PASSWORD",
    why="Opens an account. Told by the name it is assigned to; masked values, placeholders, variables, folders "
    "(`PWD=/x`) and lower-case prose after `password: ` are none.",
    expressions=(
        Expression(
            "password.assignment",
            rf"{NAMES}[0-9]?{CLOSING}[ \t]{{0,2}}{SIGN}",
            check_assignment,
            0.9,
            caseless=True,
            version=3,
        ),
        Expression(
            "password.element",
            rf"<[a-z0-9_:.-]{{0,30}}{NAMES}(?:[ ][^<>\x00\n]{{1,120}})?>",
            check_element,
            0.95,
            caseless=True,
            version=2,
        ),
        Expression(
            "password.statement",
            r"(?:identified[ ]{1,2}(?:with[ ]{1,2}['a-z0-9_]{1,40}[ ]{1,2})?by|password(?:[ ]{1,2}for[ ]{1,2}[^\s\x00]{1,60}[ ]"
            r"{0,2}=)?)[ ]{1,3}(?:password[ ]?\()?'"
            r"|password[ ]{0,2}=[ ]{0,2}(?:password|md5|sha1|sha2|crypt|old_password|encrypt|hashbytes)[ ]?\([ ]?'",
            check_statement,
            0.9,
            caseless=True,
            version=2,
        ),
        Expression(
            "password.unquoted_statement", r"identified[ ]{1,2}by[ ]{1,2}[a-z0-9_]", check_unquoted, 0.8, caseless=True
        ),
        Expression("password.insert", r"insert[ ]{1,3}into[ ]{1,3}", check_insert, 0.9, caseless=True),
        Expression(
            "password.set",
            rf"\b(?:define|set|put|add|with|bind|property)[a-z_]{{0,16}}\([\"'][a-z0-9_.-]{{0,30}}{NAMES}[\"'],[ ]{{0,2}}[\"']",
            check_statement,
            0.85,
            caseless=True,
        ),
        Expression(
            "password.call",
            r"\b(?:auth|authenticate|log_?in|set_?credentials?|(?:http)?basic_?auth|(?:username)?password(?:credentials?|authentication|authenticationtoken)"
            r"|networkcredential)\([ ]?[\"'][^\"'\x00\n]{1,60}[\"'],[ ]?[\"']",
            check_call,
            0.85,
            caseless=True,
        ),
        Expression("password.symbol", rf":[a-z-]{{0,16}}{NAMES}[ ][\"']", check_statement, 0.85, caseless=True),
        Expression(
            "password.pair",
            rf"{NAMES}(?:{OF_PAIR}|[\"'\\\n ]{{1,12}}[ ]?>)|{NAMES}(?:[\"']?>|</key>)\s{{0,12}}<(?:value|string)>",
            value_after,
            0.9,
            caseless=True,
        ),
        Expression(
            "password.prose",
            rf"(?:{WORDS}|\bpwd|client secret)(?:(?:[ ](?:for|of|per|de|f\xc3\xbcr)[ ][^\s\x00]{{1,40}})?[ ]{{1,2}}"
            r"(?:(?:was |is |has been )?(?:set to|reset to|changed to|changed from)|is|was|to|ist|lautet|est|es|(?:\xc3\xa8)|e')[ ]?:?[ ]"
            r"|[ ](?:for|of|f\xc3\xbcr)[ ][^\s\x00]{1,40}:[ ])",
            spoken_after,
            0.8,
            caseless=True,
            version=2,
        ),
        Expression(
            "password.used",
            r"\b(?:with|using|mit|con|avec)[ ](?:the[ ])?(?:password|passwort|passphrase|contrase\xc3\xb1a|mot de passe)[ ]",
            check_used,
            0.75,
            caseless=True,
        ),
        Expression(
            "password.direct",
            r"(?:passw(?:or)?d|passphrase|passcode|passwort|\bpwd|\bpw)[ ]",
            check_direct,
            0.7,
            caseless=True,
            version=2,
        ),
        *COMMANDS,
    ),
    positives=(
        ('{"user":"bob","password":"hunter2!"}', "hunter2!"),
        ("login user=bob db_password=hunter2 ok", "hunter2"),
        ("POST /login?user=bob&pwd=hun%21ter&x=1", "hun%21ter"),
        ("ALTER USER bob IDENTIFIED BY 'hunter 2'", "hunter 2"),
        ("CREATE ROLE bob PASSWORD 'hunter2'", "hunter2"),
        (r"body={\"password\":\"hunter2\"}", "hunter2"),
        ("client_secret: 'S3cr3tValue'", "S3cr3tValue"),
        ("run --password hunter2 --user bob", "hunter2"),
        ("INSERT INTO users (name, password) VALUES ('bob', 'hunter2')", "hunter2"),
        ("your new password is Hx71-kk!", "Hx71-kk!"),
        ("docker login -u ci -p hunter2 registry.example.com", "hunter2"),
        ("echo hunter2 | docker login -u ci --password-stdin", "hunter2"),
        ("net user bob hunter2 /add", "hunter2"),
        ('props.setProperty("db.password", "hunter2")', "hunter2"),
        ('<property name="password"><value>hunter2</value>', "hunter2"),
        ("DB_PASSWORD: ${DB_PASSWORD:-hunter2}", "hunter2"),
        ('[0 127.0.0.1:5] "AUTH" "default" "hunter2"', "hunter2"),
        ('echo "root:hunter2" | chpasswd', "hunter2"),
        ("パスワード：「hunter 2」", "hunter 2"),
        ('<ns:password type="text">hunter 2</ns:password>', "hunter 2"),
        ('{"key":"db_password","value":{"stringValue":"hunter2"}}', "hunter2"),
        ('name="password"\n\nhunter2\n--', "hunter2"),
        ("keytool -storepass hunter2 -list", "hunter2"),
        ("> PASS Hunter-2", "Hunter-2"),
        ("password for bob: Hx71-kk!", "Hx71-kk!"),
        ("login with password hunter22 failed", "hunter22"),
        ('db.auth("bob", "Hunter-2")', "Hunter-2"),
    ),
    negatives=(
        "Failed password for root from console",
        "password=****** ok",
        '{"password":null,"secret":""}',
        "PWD=/home/bob SHELL=/bin/sh",
        "bypass=1 compass=2",
        "password: must have eight characters",
        "password=${DB_PASSWORD}",
        "password=[PASSWORD]",
        "your password is weak",
        "password: ${DB_PASSWORD:?missing}",
        "password: !vault |",
        "net user bob /delete",
        "docker login -p",
        "mysql -u root -p shop < dump.sql",
        "if (password == null) return",
        "secret_ref=arn:aws:secretsmanager:eu-west-1:123456789012:secret:db",
        "パスワード：無効です",
        "with password authentication-based login",
        "<password>Enter your password</password>",
        'echo "root:[PASSWORD]" | chpasswd',
    ),
)
