import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from app.observability.metrics import REGISTRY
from app.services import email_service
from app.services.email_service import send_email
from tests.helpers import free_port, log_lines

BODY = "Guten Tag,\n\n1 < 2 → ok\n"


def sent_count(result: str) -> float:
    return REGISTRY.get_sample_value("emails_total", {"result": result}) or 0.0


@pytest.fixture
def mailing_app(make_app: Callable[..., Flask], smtp_server: Any) -> Iterator[Flask]:
    app = make_app(
        SMTP_HOST=smtp_server.host, SMTP_PORT=smtp_server.port, MAIL_FROM="app@example.com",
        SMTP_TIMEOUT=2,
    )  # fmt: skip
    with app.app_context():
        yield app


class Picky:
    """Take mail for everybody whose address does not start with "no"."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def handle_RCPT(
        self, _s: Any, _session: Any, envelope: Any, address: str, _o: Any
    ) -> str:
        if address.startswith("no"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _s: Any, _session: Any, envelope: Any) -> str:
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@pytest.fixture
def run_server() -> Iterator[Callable[..., Any]]:
    running: list[Controller] = []

    def start(handler: Any, **options: Any) -> Controller:
        controller = Controller(handler, hostname="127.0.0.1", port=free_port(), **options)
        controller.start()
        running.append(controller)
        return controller

    yield start
    for controller in running:
        controller.stop()


@pytest.fixture
def hung_port() -> Iterator[int]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def dripping_port() -> Iterator[tuple[int, threading.Event]]:
    """A server whose greeting has line after line, and whether its client has left."""
    left = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                for _ in range(1000):
                    try:
                        connection.sendall(b"220-wait\r\n")
                    except OSError:
                        left.set()
                        return
                    time.sleep(0.02)

        threading.Thread(target=drip, daemon=True).start()
        yield server.getsockname()[1], left


def test_a_mail_arrives_as_it_was_written(mailing_app: Flask, smtp_server: Any) -> None:
    before = sent_count("sent")
    assert send_email(recipients=["a@example.com"], subject="Grüße", body=BODY) is True
    (message,) = smtp_server.messages
    assert message.get_content().replace("\r\n", "\n") == BODY
    assert message.get_content_type() == "text/plain"
    headers = {name: message[name] for name in ("Subject", "From", "To", "Auto-Submitted")}
    assert headers == {
        "Subject": "Grüße", "From": "app@example.com", "To": "a@example.com",
        "Auto-Submitted": "auto-generated",
    }  # fmt: skip
    assert message["Message-ID"].endswith("@example.com>")
    assert message["Date"].datetime is not None
    assert sent_count("sent") == before + 1


def test_the_event_names_subject_and_masked_addresses_but_never_the_body(
    mailing_app: Flask, smtp_server: Any
) -> None:
    send_email(recipients="alice@example.com", subject="Hello", body="canary-in-the-body")
    (event,) = log_lines(mailing_app, "email_sent")
    assert event["details"] == {"subject": "Hello", "recipients": ["a***@example.com"]}
    assert "canary-in-the-body" not in Path(mailing_app.config["LOG_DIR"], "app.log").read_text()


@pytest.mark.parametrize(
    ("recipients", "arrives_at", "skipped"),
    [
        ("one@example.com", ["one@example.com"], None),
        (["Ops@Example.com"], ["Ops@Example.com"], None),
        (["a@example.com", "a@example.com"], ["a@example.com"], None),
        (("a@example.com", "b@example.com"), ["a@example.com", "b@example.com"], None),
        (["a@example.com", "no address"], ["a@example.com"], ["n***"]),
        (["a@example.com", "b@example.com\r\nBcc: c@example.com"], ["a@example.com"],
         ["b***@example.com Bcc: c@example.com"]),
        (["a@example.com", "b@example.com,c@example.com"], ["a@example.com"],
         ["b***@example.com,c@example.com"]),
        (["a@example.com", "ü@example.com"], ["a@example.com"], ["ü***@example.com"]),
    ],
)  # fmt: skip
def test_addresses_that_are_none_are_skipped_and_said(
    mailing_app: Flask, smtp_server: Any, recipients: Any, arrives_at: list[str], skipped: Any
) -> None:
    assert send_email(recipients=recipients, subject="s", body="b")
    (message,) = smtp_server.messages
    assert [one.addr_spec for one in message["To"].addresses] == arrives_at
    (event,) = log_lines(mailing_app, "email_sent")
    found = event["details"].get("skipped")
    assert (found and [" ".join(one.split()) for one in found]) == skipped


@pytest.mark.parametrize(
    "subject", ["Hi\r\nBcc: evil@example.com", "Hi\nBcc: evil@example.com", "Hi\x0b\x85 Bcc: x"]
)
def test_a_subject_cannot_start_another_header(
    mailing_app: Flask, smtp_server: Any, subject: str
) -> None:
    assert send_email(recipients="a@example.com", subject=subject, body="b")
    (message,) = smtp_server.messages
    assert message["Bcc"] is None
    assert message["Subject"] == " ".join(subject.split())


@given(subject=st.text(), body=st.text(), address=st.text())
def test_whatever_is_passed_makes_a_mail_of_one_header_block(
    subject: str, body: str, address: str
) -> None:
    message = email_service._message(
        "app@example.com", ["a@example.com"], email_service._one_line(subject), body
    )
    parsed = message_from_bytes(message.as_bytes(policy=policy.SMTP), policy=policy.default)
    assert set(parsed.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted",
        "Content-Type", "Content-Transfer-Encoding", "MIME-Version",
    }  # fmt: skip
    good, _skipped = email_service._sort_addresses([address])
    assert all(char.isprintable() and char != " " for one in good for char in one)


@pytest.mark.parametrize(
    ("settings", "recipients", "reason"),
    [
        ({"SMTP_HOST": ""}, ["a@example.com"], "no SMTP_HOST set"),
        ({}, [], "no recipients"),
        ({}, "", "no recipients"),
        ({}, None, "no recipients"),
        ({}, ["not an address"], "no recipients"),
    ],
)
def test_a_mail_that_cannot_go_is_recorded_with_the_reason(
    mailing_app: Flask, settings: dict[str, Any], recipients: Any, reason: str
) -> None:
    mailing_app.config.update(settings)
    before = sent_count("not_configured")
    assert send_email(recipients=recipients, subject="s", body="b") is False
    (event,) = log_lines(mailing_app, "email_failed")
    assert (event["level"], event["details"]["reason"]) == ("WARNING", reason)
    assert sent_count("not_configured") == before + 1


def test_a_server_that_is_down_is_a_recorded_failure(mailing_app: Flask) -> None:
    mailing_app.config["SMTP_PORT"] = free_port()
    before = sent_count("failed")
    assert send_email(recipients="a@example.com", subject="s", body="b") is False
    (event,) = log_lines(mailing_app, "email_failed")
    assert event["details"]["reason"].startswith("ConnectionRefusedError")
    assert sent_count("failed") == before + 1


def test_a_hung_server_costs_no_more_than_the_timeout(mailing_app: Flask, hung_port: int) -> None:
    mailing_app.config.update(SMTP_PORT=hung_port, SMTP_TIMEOUT=1)
    started = time.monotonic()
    assert send_email(recipients="a@example.com", subject="s", body="b") is False
    assert time.monotonic() - started < 3
    (event,) = log_lines(mailing_app, "email_failed")
    assert event["details"]["reason"].endswith("timed out")


def test_a_server_that_hangs_at_goodbye_has_taken_the_mail(mailing_app: Flask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_hang_at_quit, args=(server,), daemon=True)
        thread.start()
        mailing_app.config.update(SMTP_PORT=server.getsockname()[1], SMTP_TIMEOUT=5)
        assert send_email(recipients="a@example.com", subject="s", body="b") is True


def _hang_at_quit(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection, connection.makefile("rb") as lines:
        connection.sendall(b"220 hello\r\n")
        in_data = False
        for line in lines:
            if in_data and line != b".\r\n":
                continue
            if line.upper().startswith(b"QUIT"):
                lines.read()
                return
            in_data = line.upper().startswith(b"DATA")
            connection.sendall(b"354 go on\r\n" if in_data else b"250 OK\r\n")


def test_a_refused_recipient_does_not_hinder_the_others(
    mailing_app: Flask, run_server: Callable[..., Any]
) -> None:
    picky = Picky()
    mailing_app.config["SMTP_PORT"] = run_server(picky).port
    to = ["no-one@example.com", "a@example.com"]
    assert send_email(recipients=to, subject="s", body="b") is True
    assert len(picky.messages) == 1
    (event,) = log_lines(mailing_app, "email_sent")
    assert event["details"]["refused"] == ["n***@example.com"]


def test_a_mail_that_nobody_may_get_has_failed(
    mailing_app: Flask, run_server: Callable[..., Any]
) -> None:
    mailing_app.config["SMTP_PORT"] = run_server(Picky()).port
    assert send_email(recipients="no-one@example.com", subject="s", body="b") is False
    (event,) = log_lines(mailing_app, "email_failed")
    assert event["details"]["reason"].startswith("SMTPRecipientsRefused")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


def test_it_logs_in_over_tls_only_to_a_server_it_can_trust(
    mailing_app: Flask, run_server: Callable[..., Any], certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    seen: list[tuple[bytes, bytes]] = []

    def authenticate(_server: Any, _session: Any, _envelope: Any, _kind: str, data: Any) -> Any:
        seen.append((data.login, data.password))
        return AuthResult(success=True)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    picky = Picky()
    server = run_server(
        picky, tls_context=context, require_starttls=True, auth_required=True,
        authenticator=authenticate,
    )  # fmt: skip
    mailing_app.config.update(
        SMTP_HOST="localhost", SMTP_PORT=server.port, SMTP_STARTTLS=True,
        SMTP_USERNAME="app", SMTP_PASSWORD="pass word",
    )  # fmt: skip
    assert send_email(recipients="a@example.com", subject="s", body="b") is False
    assert seen == []
    (event,) = log_lines(mailing_app, "email_failed")
    assert event["details"]["reason"].startswith("SSLCertVerificationError")

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    assert send_email(recipients="a@example.com", subject="s", body="b") is True
    assert seen == [(b"app", b"pass word")]
    assert len(picky.messages) == 1


def test_a_server_that_never_stops_greeting_is_left(
    mailing_app: Flask,
    dripping_port: tuple[int, threading.Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mailing_app.config["SMTP_PORT"], left = dripping_port
    monkeypatch.setattr(email_service, "_MAX_TIMEOUTS", 0.1)
    assert send_email("a@example.com", "s", "b") is False
    assert left.wait(5)
