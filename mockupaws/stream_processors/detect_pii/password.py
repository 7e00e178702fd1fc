"""PASSWORD: what is assigned to a name such as `password` or `client_secret`, in code, SQL, command lines and prose."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.assigned_value import follows_mark, is_masked, value_after
from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_WORDS = (
    r"passw(?:or)?d|passwrd|passphrase|passcode|passwort|kennwort|contrase(?:n|\xc3\xb1)a|mot[ _]?de[ _]?passe|\bsenha"
    r"|parola[ _]chiave|\bparola(?:[ _]d.ordine)?"
)
_SHORT = r"pwd|\bpass|[a-z0-9][_.-]pass|dbpass|userpass|\bpw|[_.-]pw|\b(?:wpa[_-]?)?psk|pre[_-]?shared[_-]?key"
_SECRETS = r"secret(?:[_-]?(?:key|token|value))?(?:[_-]?base)?|(?:encryption|signing|master|hmac|shared|storage|account)[_-]?key"
_SUFFIX = r"(?:[_-]?(?:confirm(?:ation)?|new|old|current|again|repeat|plain|text|value|super[_-]secure))?"
_NAMES = rf"(?:(?:{_WORDS}){_SUFFIX}|{_SHORT}|{_SECRETS})"
_NAME_AT_END = re.compile(rf"{_NAMES}[0-9]?\Z".encode("latin-1"), re.IGNORECASE)
_SIGN = r"(?:=>|:=|==?|:)"
_NAME_AT_START = re.compile(rf"[a-z_.-]{{0,16}}{_NAMES}[\"']?{_SIGN}".encode("latin-1"), re.IGNORECASE)
_PROSE = re.compile(rb"[A-Za-z]?[a-z'\xc3\xa0-\xc3\xbf]{0,64}[.,;:!?]?\Z")
_STRONG = re.compile(rb"(?:(?=[^\x00]{0,512}[0-9!@#$%^&*?_+=-])|(?=[^\x00]{0,512}[a-z][A-Z]))[^\x00]{6,512}\Z")
_FOLDER = b"/"
_TEXT_AFTER = re.compile(rb"[ ][A-Za-z]")
_CODE = re.compile(
    rb"(?:[A-Za-z_]\w{0,64}(?:\.|->|::)){1,8}\w{0,64}(?:pass|pwd|secret|key|token|env)\w{0,64}\Z", re.IGNORECASE
)
_CALL_AFTER = (b"(", b"[")
_SHELL_VARIABLE = re.compile(rb"\$\{[A-Za-z0-9_]{1,64}:\Z")
"""`${DB_PASSWORD:?missing}` and `:+x` say nothing; what follows `:-` is the value where none is set."""
_LONGEST_VARIABLE = 70
_DRIVE = re.compile(rb"[A-Za-z]:\Z")


def check_assignment(data: bytes, end: int) -> Span | None:
    span = value_after(data, end)
    if span is None or follows_mark(data, end):
        return None
    start, stop = span
    value = data[start:stop]
    if _SHELL_VARIABLE.search(data, max(0, end - _LONGEST_VARIABLE), end):
        return (start + 1, stop) if value.startswith(b"-") and len(value) > 1 else None
    assigns = b"=" in value or b":" in value
    if assigns and _NAME_AT_START.match(value):
        return None
    if value.startswith((_FOLDER, b"org.", b"com.")):
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


def check_listed_option(data: bytes, end: int) -> Span | None:
    """The hit ends with the quote that opens the value in `['--password', 'x']`."""
    start = end - 1
    while data[start - 1 : start] == b"\\":
        start -= 1
    return value_after(data, start)


def check_option(data: bytes, end: int) -> Span | None:
    """The hit ends with the space after `--password`."""
    span = value_after(data, end)
    return None if span is None or data[span[0] : span[0] + 1] == b"-" else span


_SWITCH = re.compile(rb"[/*][A-Za-z?]{0,40}(?![^\s\x00])")


def check_windows_command(data: bytes, end: int) -> Span | None:
    """`net user bob X /add`: what follows, unless it is a switch, or the `*` that asks for it."""
    return None if _SWITCH.match(data, end) else check_option(data, end)


_REDIS_AUTH = re.compile(rb"([^\"\x00]{1,128})\"(?: \"([^\"\x00]{1,128})\")?")


def check_redis_auth(data: bytes, end: int) -> Span | None:
    """The hit ends with the quote after `"AUTH" "`; a user may stand before the password."""
    words = _REDIS_AUTH.match(data, end)
    if words is None:
        return None
    span = words.span(2 if words[2] is not None else 1)
    return None if is_masked(data[slice(*span)]) else span


_PIPED = re.compile(rb"(?:echo|printf) (?:-n |'%s' |\"%s\" )?([\"']?)([^\s\"'|\x00]{1,128})\1 ?\| ?[^|\x00\n]{1,200}\Z")


def check_piped(data: bytes, end: int) -> Span | None:
    """The hit ends with `--password-stdin`: the password was written into the pipe before it."""
    piped = _PIPED.search(data, max(0, end - 360), end)
    return None if piped is None or is_masked(piped[2]) else piped.span(2)


_DIRECT = re.compile(
    rb"(?=[^\s\x00]*[0-9])(?=[^\s\x00]*[a-z])(?=[^\s\x00]*[A-Z!@#$%^&*?])[^\s,;:()\[\]{}\"'<>\\/=|\x00]{8,64}(?![^\s.,;\"'\x00])"
)


def check_direct(data: bytes, end: int) -> Span | None:
    """`password X`: only what mixes letters of both cases or signs with digits."""
    word = _DIRECT.match(data, end)
    if word is None:
        return None
    stop = word.end()
    while data[stop - 1] in b".,;":
        stop -= 1
    return end, stop


_SPOKEN = re.compile(rb"[\"'`]?([^\s\"'`<>\x00]{6,64})")


def check_prose(data: bytes, end: int) -> Span | None:
    """`the password is X`: X must look like one."""
    word = _SPOKEN.match(data, end)
    if word is None:
        return None
    start, stop = word.span(1)
    while stop > start and data[stop - 1] in b".,;:)":
        stop -= 1
    value = data[start:stop]
    return (start, stop) if _STRONG.match(value.rstrip(b"!?")) and not is_masked(value) else None


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
    place = next((number for number, name in enumerate(names) if _NAME_AT_END.search(name)), None)
    if place is None:
        return None
    for number, field in enumerate(_FIELD.finditer(data, *statement.span(2))):
        if number == place:
            start, stop = field.span(1)
            quoted = data[start : start + 1] == b"'"
            return (start + 1, stop - 1) if quoted and not is_masked(data[start + 1 : stop - 1]) else None
    return None


def is_password(name: str, value: str) -> bool:
    """Whether an attribute of this name holds a password."""
    return _NAME_AT_END.search(name.encode("utf-8", "replace")) is not None and not is_masked(
        value.encode("utf-8", "replace")
    )


PASSWORD = Detector(
    pii_type="PASSWORD",
    why="Opens an account. Told by the name it is assigned to; masked values, placeholders, variables, folders "
    "(`PWD=/x`) and lower-case prose after `password: ` are none.",
    expressions=(
        Expression(
            "password.assignment",
            rf"{_NAMES}[0-9]?[\"'\\`\])]{{0,3}}[ \t]{{0,2}}{_SIGN}",
            check_assignment,
            0.9,
            caseless=True,
            version=2,
        ),
        Expression(
            "password.element", r"<[a-z0-9_:.-]{0,30}(?:password|passwd|secret)>", value_after, 0.95, caseless=True
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
            "password.option",
            r"(?:^|[^a-z-])--?(?:[a-z]{1,12}-){0,2}(?:pass|password|passwd|passphrase|pwd|secret)[ ]",
            check_option,
            0.85,
            version=2,
        ),
        Expression(
            "password.listed_option",
            r"--?(?:[a-z]{1,12}-){0,2}(?:pass|password|passwd|passphrase|pwd|secret)[\"'\\]{1,3},[ ]?[\"'\\]{1,3}",
            check_listed_option,
            0.85,
        ),
        Expression(
            "password.registry_login",
            r"\b(?:docker|podman|nerdctl|buildah|skopeo|oc|helm registry|az)[ ]login[ ](?:[^-\s\x00][^\s\x00]{0,60}[ ]|-[^p\s\x00][^\s\x00]{0,40}[ ]){0,6}-p[ ]",
            check_option,
            0.85,
        ),
        Expression("password.here_string", r"--password-stdin[ ]?<<<[ ]?", check_option, 0.9),
        Expression(
            "password.piped", r"\|[^|\x00\n]{1,120}--password-stdin\b|\|[ ]?(?:sudo[ ])?chpasswd\b", check_piped, 0.85
        ),
        Expression(
            "password.secure_string",
            r"convertto-securestring[ ](?:-string[ ])?[\"']",
            check_statement,
            0.9,
            caseless=True,
        ),
        Expression(
            "password.windows_command",
            r"\bnet[ ]use[ ][^\x00\n]{1,120}/user:[^\s\x00]{1,60}[ ]|\bnet[ ]user[ ][^\s/\x00]{1,40}[ ]"
            r"|\bschtasks(?:\.exe)?[ ][^\x00\n]{1,200}[ ]/rp[ ]|\bpsexec(?:64)?(?:\.exe)?[ ][^\x00\n]{1,120}[ ]-p[ ]",
            check_windows_command,
            0.85,
            caseless=True,
        ),
        Expression(
            "password.database_command",
            r"\b(?:sqlcmd|osql|isql)[ ][^\x00\n]{1,120}[ ]-P[ ]?[^\s\x00]|\bldap(?:search|modify|add|delete|whoami)[ ][^\x00\n]{1,160}[ ]-w[ ]?[^\s\x00]",
            check_unquoted,
            0.85,
        ),
        Expression("password.netrc", r"\blogin[ ]{1,2}[^\s\x00]{1,100}[ \n]{1,4}password[ ]{1,2}", check_option, 0.9),
        Expression("password.redis_auth", r"\"auth\"[ ]\"", check_redis_auth, 0.9, caseless=True),
        Expression(
            "password.set",
            rf"\b(?:define|set|put|add|with|bind|property)[a-z_]{{0,16}}\([\"'][a-z0-9_.-]{{0,30}}{_NAMES}[\"'],[ ]{{0,2}}[\"']",
            check_statement,
            0.85,
            caseless=True,
        ),
        Expression("password.arrow", rf"{_NAMES}[\"']?[ ]->[ ]", check_assignment, 0.85, caseless=True),
        Expression("password.symbol", rf":[a-z-]{{0,16}}{_NAMES}[ ][\"']", check_statement, 0.85, caseless=True),
        Expression(
            "password.command",
            r"\b(?:sshpass[ ]{1,2}-p[ ]{0,2}|redis-cli[ ](?:-[^a\s\x00][ ][^\s\x00]{1,60}[ ]){0,4}-a[ ]|requirepass[ ]|masterauth[ ]"
            r"|mysql[a-z]{0,8}[ ](?:-[^p\s\x00][^\s\x00]{0,60}[ ]|[^-\s\x00]{1,40}[ ]){0,8}-p)",
            check_option,
            0.85,
        ),
        Expression(
            "password.curl_user",
            r"\bcurl[^\x00\n]{0,200}[ ](?:-u|--user|--proxy-user)[ =]?[\"']?[^\s:\"'\x00]{1,60}:[^\s\x00]",
            check_unquoted,
            0.9,
        ),
        Expression(
            "password.pair",
            rf"{_NAMES}[\"'\\\n ]{{1,12}}(?:,?[ ]{{0,2}}[\"'\\]{{0,3}}value[\"'\\]{{0,3}}[ ]?[:=]|[ ]?>)"
            rf"|{_NAMES}(?:[\"']?>|</key>)\s{{0,12}}<(?:value|string)>",
            value_after,
            0.9,
            caseless=True,
        ),
        Expression(
            "password.prose",
            rf"(?:{_WORDS}|\bpwd|client secret)(?:[ ](?:for|of|per|de|f\xc3\xbcr)[ ][^\s\x00]{{1,40}})?[ ]{{1,2}}"
            r"(?:is|was|set to|changed to|reset to|to|ist|lautet|est|es|(?:\xc3\xa8)|e')[ ]?:?[ ]",
            check_prose,
            0.8,
            caseless=True,
        ),
        Expression(
            "password.direct",
            r"(?:\bpassword|\bpasswd|\bpassphrase|\bpasscode|\bpwd|\bpw)[ ]",
            check_direct,
            0.7,
            caseless=True,
        ),
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
    ),
)
