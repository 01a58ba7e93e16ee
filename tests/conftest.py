import logging
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine, make_url
from werkzeug.routing import Rule

from app import create_app, db
from app.models.user import ADMIN
from app.observability import log_context, sampler
from app.services import passwords
from tests.helpers import PASSWORD, SECRET_KEY, Account, Server, free_port, serving
from tests.mongo_server import MongoServer, close_clients
from tests.postgres_server import PostgresServer
from tests.sentry_receiver import SentryReceiver

# A third of the default: together the properties take minutes of the suite. No test is about time.
settings.register_profile(
    "suite", max_examples=35, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

# Most of what an application costs is compiling its addresses: the same ones in thousands of tests.
_compile_builder = Rule._compile_builder
_builders: dict[Any, Callable[..., tuple[str, str]]] = {}


def _compiled_once(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
    key = rule.rule, tuple(rule._trace), str(rule.defaults), append_unknown
    if key not in _builders:
        _builders[key] = _compile_builder(rule, append_unknown)
    return _builders[key]


Rule._compile_builder = _compiled_once  # type: ignore[method-assign]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "settings(**names): settings of the app under test")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Let hostile text reach the report: xdist cannot send a lone surrogate."""
    report = yield
    report.sections = [
        (title, text.encode("utf-8", "replace").decode()) for title, text in report.sections
    ]
    return report


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep a developer's own settings out of the tests."""
    monkeypatch.setenv("APP_ENV", "testing")
    for name in ("DATABASE_URL", "LOG_STORE_URL", "LOG_DIR", "LOG_LEVEL", "SENTRY_DSN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash in a moment what should take a tenth of a second; test_passwords.py takes its time."""
    method = "scrypt:1024:8:1"
    monkeypatch.setattr(passwords, "_METHOD", method)
    monkeypatch.setattr(passwords, "_NOBODY", f"{method}${'x' * 16}${'0' * 128}")


@pytest.fixture(autouse=True)
def _clean_context() -> Iterator[None]:
    """Undo what a test binds: without a server nothing ends the requests that it begins."""
    with log_context.bound():
        yield


@pytest.fixture(scope="session")
def empty_databases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the databases of the default settings, all tables and nothing in them."""
    folder = tmp_path_factory.mktemp("databases")
    for name, key in (("app.db", None), ("logs.db", "logs")):
        engine = create_engine(f"sqlite:///{folder / name}")
        db.metadatas[key].create_all(engine)
        engine.dispose()
    return folder


@pytest.fixture
def make_app(tmp_path: Path, empty_databases: Path) -> Iterator[Callable[..., Flask]]:
    """Return a function that makes an app, with its tables, from settings."""
    made: list[Flask] = []

    def make(**settings: Any) -> Flask:
        file = tmp_path / "app.db"
        is_new = not file.exists() and not {"DATABASE_URL", "LOG_STORE_URL"} & settings.keys()
        if is_new:
            shutil.copytree(empty_databases, tmp_path, dirs_exist_ok=True)
        app = create_app({
            "APP_ENV": "testing",
            "SECRET_KEY": SECRET_KEY,
            "DATABASE_URL": f"sqlite:///{file}",
            "LOG_DIR": str(tmp_path / "logs"),
            "UPLOAD_FOLDER": str(tmp_path / "uploads"),
            "WTF_CSRF_ENABLED": False,
            **settings,
        })  # fmt: skip
        made.append(app)
        with app.app_context():
            # To copy them takes a moment, to make them much longer.
            db.create_all([] if is_new else list(db.engines))
        return app

    yield make
    for app in made:
        _close(app)
    root = logging.getLogger()
    for handler in list(root.handlers):
        if type(handler).__module__.startswith("app."):
            root.removeHandler(handler)
            handler.close()


def _close(app: Flask) -> None:
    sampler.stop(app)
    with app.app_context():
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()
    close_clients(app.extensions["log_store"])


@pytest.fixture
def app(make_app: Callable[..., Flask], request: pytest.FixtureRequest) -> Flask:
    """An app on SQLite, changed by `@pytest.mark.settings(NAME=value)`."""
    marker = request.node.get_closest_marker("settings")
    return make_app(**(marker.kwargs if marker else {}))


@pytest.fixture
def app_context(app: Flask) -> Iterator[Flask]:
    with app.app_context():
        yield app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    # As in production: an exception becomes the 500 page.
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app.test_client()


def make_account(app: Flask, email: str, role: str = "user") -> Account:
    from app.services import user_service

    with app.app_context():
        user = user_service.create_user(email=email, password=PASSWORD, role=role)
        return Account(user.id, user.email, PASSWORD)


@pytest.fixture
def user(app: Flask) -> Account:
    return make_account(app, "user@example.com")


@pytest.fixture
def other_user(app: Flask) -> Account:
    return make_account(app, "other@example.com")


@pytest.fixture
def admin(app: Flask) -> Account:
    return make_account(app, "admin@example.com", ADMIN)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Return a function that starts a real gunicorn; all of them end with the test."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def start(
            workers: int = 2, env: dict[str, str] | None = None, name: str = "site"
        ) -> Server:
            return stack.enter_context(serving(tmp_path / name, workers=workers, env=env))

        yield start


@pytest.fixture
def receiver() -> Iterator[SentryReceiver]:
    """A server that takes what would go to Sentry; afterwards nothing is sent any more."""
    from app.observability.sentry_events import turn_off

    receiver = SentryReceiver()
    yield receiver
    turn_off()
    receiver.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL server."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres_server(postgres: PostgresServer) -> str:
    """The address of a real PostgreSQL server, without a database."""
    return postgres.url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A fresh, empty PostgreSQL database."""
    name = f"test_{free_port()}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield f"{postgres_server}/{name}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, once on SQLite and once on PostgreSQL."""
    return _sql_url(request, tmp_path)


def _sql_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'app.db'}"
    url = make_url(request.getfixturevalue("postgres_url"))
    return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def mongo_server() -> Iterator[MongoServer]:
    """A real MongoDB server, a replica set of one."""
    server = MongoServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def mongo_url(mongo_server: MongoServer) -> Iterator[str]:
    """The address of a fresh, empty MongoDB database."""
    name = f"test_{free_port()}"
    yield mongo_server.url(name)
    mongo_server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql", "mongodb"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty log store, once on each database that can be one."""
    if request.param == "mongodb":
        return str(request.getfixturevalue("mongo_url"))
    return _sql_url(request, tmp_path)


class Mailbox:
    """Keep what a real SMTP server receives."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.host = "127.0.0.1"
        self.port = 0

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        from email import message_from_bytes, policy

        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@pytest.fixture
def smtp_server() -> Iterator[Mailbox]:
    """A real SMTP server on loopback, with `host`, `port` and the `messages` it took."""
    from aiosmtpd.controller import Controller

    mailbox = Mailbox()
    controller = Controller(mailbox, hostname=mailbox.host, port=free_port())
    controller.start()
    mailbox.port = controller.port
    try:
        yield mailbox
    finally:
        controller.stop()
