"""PASSWORD in command lines: the options, pipes and words of the tools that take one."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.assigned_value import is_masked, spoken_after, value_after
from mockupaws.stream_processors.detect_pii.detector import Expression, Span


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


def check_begun(data: bytes, end: int) -> Span | None:
    """The hit ends with the first character of the value, or the quote that opens it."""
    return value_after(data, end - 1)


def check_said(data: bytes, end: int) -> Span | None:
    """`PASS X` and `LOGIN bob X` of FTP, POP3 and IMAP: X must look like a password."""
    span = spoken_after(data, end)
    return None if span is None or b"/" in data[slice(*span)] else span


_PIPED = re.compile(rb"(?:echo|printf) (?:-n |'%s' |\"%s\" )?([\"']?)([^\s\"'|\x00]{1,128})\1 ?\| ?[^|\x00\n]{1,200}\Z")


def check_piped(data: bytes, end: int) -> Span | None:
    """The hit ends with `--password-stdin`: the password was written into the pipe before it."""
    piped = _PIPED.search(data, max(0, end - 360), end)
    if piped is None:
        return None
    start, stop = piped.span(2)
    if data[end - 8 : end] == b"chpasswd":  # it reads `user:password`
        start = data.find(b":", start, stop) + 1 or start
    return None if is_masked(data[start:stop]) else (start, stop)


COMMANDS = (
    Expression(
        "password.option",
        r"(?:^|[^a-z-])--?(?:[a-z]{1,12}-){0,2}(?:pass|password|passwd|passphrase|pwd|secret|(?:src|dest)?(?:store|key)pass)[ ]",
        check_option,
        0.85,
        version=3,
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
        check_begun,
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
        r"\b(?:sqlcmd|osql|isql)[ ][^\x00\n]{1,120}[ ]-P[ ]?[^\s\x00]|\bldap(?:search|modify|add|delete|whoami)[ ][^\x00\n]{1,160}[ ]-w[ ]?[^\s\x00]"
        r"|\bunzip[ ](?:[^\x00\n]{1,80}[ ])?-P[ ]?[^\s\x00]|\bsnmp[a-z]{2,9}[ ][^\x00\n]{1,160}[ ]-[AX][ ][^\s\x00]|\bsmbclient[ ][^\x00\n]{0,80}-U[ ][^\s%\x00]{1,60}%[^\s\x00]",
        check_begun,
        0.85,
    ),
    Expression("password.netrc", r"\blogin[ ]{1,2}[^\s\x00]{1,100}[ \n]{1,4}password[ ]{1,2}", check_option, 0.9),
    Expression("password.redis_auth", r"\"auth\"[ ]\"", check_redis_auth, 0.9, caseless=True),
    Expression(
        "password.command",
        r"\b(?:sshpass[ ]{1,2}-p[ ]{0,2}|redis-cli[ ](?:-[^a\s\x00][ ][^\s\x00]{1,60}[ ]){0,4}-a[ ]|requirepass[ ]|masterauth[ ])",
        check_option,
        0.85,
        version=2,
    ),
    Expression(
        "password.mysql",  # `-p` alone asks for it: what follows is the database
        r"\bmysql[a-z]{0,8}[ ](?:-[^p\s\x00][^\s\x00]{0,60}[ ]|[^-\s\x00]{1,40}[ ]){0,8}-p[^\s\x00]",
        check_begun,
        0.85,
    ),
    Expression(
        "password.mail_login",
        r"(?:\bUSER[ ][^\s\x00]{1,80}[\r\n ]{1,4}|>[ ])PASS[ ]|\b[A-Za-z]{1,4}[0-9]{1,6}[ ]LOGIN[ ][^\s\x00]{1,80}[ ]",
        check_said,
        0.85,
    ),
    Expression(
        "password.curl_user",
        r"\bcurl[^\x00\n]{0,200}[ ](?:-u|--user|--proxy-user)[ =]?[\"']?[^\s:\"'\x00]{1,60}:[^\s\x00]",
        check_begun,
        0.9,
    ),
)
