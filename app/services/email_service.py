"""Mail over SMTP: sent or not, it is recorded, and it never raises."""

import contextlib
import logging
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterable, Mapping
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any

from flask import current_app

from app.observability import metrics
from app.observability.events import record_event
from config import is_email_address

SENT, FAILED, NOT_CONFIGURED = "sent", "failed", "not_configured"

_MAX_SUBJECT = 200
_GOODBYE_TIMEOUT = 1.0
# A server that says a little now and then keeps each step within its time for ever.
_MAX_TIMEOUTS = 4


def send_email(recipients: str | Iterable[str], subject: str, body: str) -> bool:
    """Send a plain text mail; return True only when the server took it for somebody.

    Each network step waits at most SMTP_TIMEOUT seconds, all together four times as long.
    Addresses that are none are skipped, which the event names. Records `email_sent` or
    `email_failed`, never the body; never raises.
    """
    subject = _one_line(subject)
    good, skipped = _sort_addresses(recipients)
    told: dict[str, Any] = {
        "subject": subject,
        "recipients": [_masked(address) for address in good],
    }
    if skipped:
        told["skipped"] = [_masked(address) for address in skipped]
    if reason := _what_is_missing(good):
        return _failed(NOT_CONFIGURED, {**told, "reason": reason})
    try:
        refused = _deliver(current_app.config, good, subject, body)
    except Exception as error:  # noqa: BLE001 - mail may fail in any way, its caller may not
        reason = f"{type(error).__name__}: {error}"
        return _failed(FAILED, {**told, "reason": reason})
    if refused:
        told["refused"] = [_masked(address) for address in refused]
    metrics.emails_total.labels(SENT).inc()
    record_event("email_sent", "email sent", details=told)
    return True


class _Client(smtplib.SMTP):
    """A conversation that is cut off when it has taken too long."""

    def __init__(self, host: str, port: int, local_hostname: str, timeout: float) -> None:
        self._late = False
        self._timer = threading.Timer(_MAX_TIMEOUTS * timeout, self._cut_off)
        self._timer.daemon = True
        self._timer.start()
        try:
            super().__init__(host, port, local_hostname, timeout)
        except BaseException:
            self.close()
            raise

    def getreply(self) -> tuple[int, bytes]:
        # When the time was up there may have been no connection yet.
        if self._late:
            raise TimeoutError("the mail server took too long")
        return super().getreply()

    def close(self) -> None:
        self._timer.cancel()
        super().close()

    def _cut_off(self) -> None:
        self._late = True
        if self.sock is not None:
            with contextlib.suppress(OSError):
                # Wakes who reads from it; the method of a TLS socket would not.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


def _what_is_missing(good: list[str]) -> str | None:
    if not good:
        return "no recipients"
    return None if current_app.config["SMTP_HOST"] else "no SMTP_HOST set"


def _failed(result: str, told: Mapping[str, Any]) -> bool:
    metrics.emails_total.labels(result).inc()
    record_event("email_failed", "email failed", level=logging.WARNING, details=told)
    return False


def _deliver(config: Any, to: list[str], subject: str, body: str) -> list[str]:
    """Return the addresses that the server refused while it took the mail for others."""
    message = _message(config["MAIL_FROM"], to, subject, body)
    # Without a name of ours smtplib asks the DNS for one, which no timeout limits.
    name = config["MAIL_FROM"].partition("@")[2]
    client = _Client(
        config["SMTP_HOST"], config["SMTP_PORT"], local_hostname=name,
        timeout=config["SMTP_TIMEOUT"],
    )  # fmt: skip
    with contextlib.closing(client):
        if config["SMTP_STARTTLS"]:
            client.starttls(context=ssl.create_default_context())
        if config["SMTP_USERNAME"]:
            client.login(config["SMTP_USERNAME"], config["SMTP_PASSWORD"])
        refused = client.send_message(message, config["MAIL_FROM"], to)
        # The mail is theirs now: a slow goodbye may not turn success into a second mail.
        with contextlib.suppress(OSError):
            if client.sock is not None:
                client.sock.settimeout(_GOODBYE_TIMEOUT)
            client.quit()
    return list(refused)


def _message(sender: str, to: list[str], subject: str, body: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=sender.partition("@")[2])
    # So that no holiday answer comes back (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_encodable(body), charset="utf-8")
    return message


def _sort_addresses(recipients: str | Iterable[str] | None) -> tuple[list[str], list[str]]:
    given = [recipients] if isinstance(recipients, str) else list(recipients or [])
    good: list[str] = []
    skipped: list[str] = []
    for one in given:
        address = str(one).strip()
        if is_email_address(address):
            # Once each, in the order given.
            good += [address] if address not in good else []
        else:
            skipped.append(address)
    return good, skipped


def _one_line(text: str) -> str:
    """Return a header's value that cannot start another header."""
    shown = "".join(char if char.isprintable() else " " for char in _encodable(str(text)))
    return " ".join(shown.split())[:_MAX_SUBJECT]


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _masked(address: str) -> str:
    local, at, domain = address.partition("@")
    return f"{local[:1]}***{at}{domain[:100]}"
