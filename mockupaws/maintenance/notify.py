"""Tells of an alert: a POST to a URL the tenant chose, through the guard for outgoing calls, and e-mail over SMTP."""

from __future__ import annotations

import asyncio
import hmac
import smtplib
import ssl
from datetime import datetime
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit

import certifi
import msgspec

from mockupaws.runtime.errors import RetriableError, SettingsError
from mockupaws.runtime.outgoing_url import OutgoingCalls
from mockupaws.runtime.settings import Settings

SMTP_SECONDS = 15.0
SIGNATURE_HEADER = "Mockupaws-Signature"
_PORTS = {"smtp": 587, "smtps": 465}


class NotSentError(RetriableError):
    """The other side didn't take the alert. The message names no URL, address or secret."""


async def post_alert(calls: OutgoingCalls, url: str, document: dict[str, Any], secret: str, now: datetime) -> None:
    """Signed where there is a secret. Raises UrlRefusedError, OutgoingCallError, NotSentError."""
    body = msgspec.json.encode(document)
    headers = {"Content-Type": "application/json", "User-Agent": "mockupaws"}
    if secret:
        headers[SIGNATURE_HEADER] = signature(secret, int(now.timestamp()), body)
    answered = await calls.call("POST", url, body, headers)
    if not 200 <= answered.status < 300:
        raise NotSentError(f"the webhook answers with status {answered.status}")


def signature(secret: str, sent_at: int, body: bytes) -> str:
    """`t=<epoch s>,v1=<hex>`: HMAC-SHA256 of the time, a dot and the body. With the time in it, an old alert can't be
    sent anew by who has seen it."""
    signed = str(sent_at).encode() + b"." + body
    return f"t={sent_at},v1={hmac.digest(secret.encode(), signed, 'sha256').hex()}"


async def mail_alert(settings: Settings, recipients: list[str], subject: str, text: str) -> None:
    """Raises NotSentError; SettingsError where no server is set or its URL is none."""
    message = EmailMessage()
    message["From"] = settings.smtp_from
    message["To"] = ", ".join(recipients)
    message["Subject"] = subject.replace("\n", " ").replace("\r", " ")[:200]
    message.set_content(text)
    try:
        await asyncio.to_thread(_send, settings.smtp_url, message)
    except (OSError, smtplib.SMTPException) as error:
        raise NotSentError(f"the mail server didn't take it ({type(error).__name__})") from error


def _send(url: str, message: EmailMessage) -> None:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise SettingsError("MOCKUPAWS_SMTP_URL must be as smtps://user:password@host:465, or smtp://host:587")
    port = parts.port or _PORTS[parts.scheme]
    trusted = ssl.create_default_context(cafile=certifi.where())
    connection: smtplib.SMTP
    if parts.scheme == "smtps":
        connection = smtplib.SMTP_SSL(parts.hostname, port, timeout=SMTP_SECONDS, context=trusted)
    else:
        connection = smtplib.SMTP(parts.hostname, port, timeout=SMTP_SECONDS)
    with connection:
        if parts.username:
            if parts.scheme == "smtp":
                connection.starttls(context=trusted)  # never a password in the clear
            connection.login(unquote(parts.username), unquote(parts.password or ""))
        connection.send_message(message)
