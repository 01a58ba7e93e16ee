import re
import subprocess
import sys
from pathlib import Path

import pytest

from config import SETTINGS, ConfigError, load_settings, misspelt
from tests.helpers import ROOT

KEY = "k" * 40
SECRET = "hunter2-hunter2"

BAD = [
    ("APP_ENV", "prod", "development, production or testing"),
    ("DATABASE_URL", f"mysql://u:{SECRET}@host/name", "a SQLAlchemy address"),
    ("DATABASE_URL", f"postgresql://u:{SECRET}@host:port/name", "a SQLAlchemy address"),
    ("LOG_STORE_URL", f"ftp://u:{SECRET}@host", "a SQLAlchemy address"),
    ("LOG_STORE_URL", f"mongodb://u:{SECRET}@host:port/name", "such as mongodb://host/name"),
    (
        "LOG_STORE_URL",
        f"mongodb://u:{SECRET}@h/name?writeConcern=no",
        "such as mongodb://host/name",
    ),
    ("LOG_STORE_URL", f"mongodb+srv://u:{SECRET}@", "such as mongodb://host/name"),
    ("DATABASE_URL", f"mongodb://u:{SECRET}@host/name", "a SQLAlchemy address"),
    ("LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    ("LOG_FORMAT", "xml", "text or json"),
    ("LOG_FILE_MAX_BYTES", "1", "bytes, 4096 or more"),
    ("LOG_FILE_BACKUP_COUNT", "-1", "a whole number, 0 or more"),
    ("LOG_LINE_MAX_BYTES", "5", "bytes, 1024 to 1048576"),
    ("LOG_SPOOL_MAX_BYTES", "all", "bytes, 1048576 or more"),
    ("LOG_KEEP_DAYS_DEBUG", "0", "days, 1 to 36500"),
    ("LOG_KEEP_DAYS_INFO", "30d", "days, 1 to 36500"),
    ("LOG_KEEP_DAYS_ERROR", "40000", "days, 1 to 36500"),
    ("LOG_KEEP_DAYS_OPERATION", "for ever", "days, 1 to 36500"),
    ("SLOW_QUERY_MS", "-5", "milliseconds, 0 or more"),
    ("UPLOAD_MAX_BYTES", "5MB", "bytes, 1024 or more"),
    ("ALERT_RECIPIENTS", "ops@example.com,nobody", "e-mail addresses, separated by commas"),
    ("ALERT_RECIPIENTS", "<ops@example.com>", "e-mail addresses, separated by commas"),
    ("ALERT_ERRORS_PER_HOUR", "ten", "a whole number, 0 or more"),
    ("DISK_WARNING_PERCENT", "100", "percent of free disk, 0 to 99"),
    ("SMTP_PORT", "0", "a port, 1 to 65535"),
    ("SMTP_STARTTLS", "maybe", "true or false"),
    ("SMTP_TIMEOUT", "0", "seconds, 1 to 300"),
    ("MAIL_FROM", "nobody", "one e-mail address"),
    ("MAIL_FROM", ",", "one e-mail address"),
    ("MAIL_FROM", "a@example.com,b@example.com", "one e-mail address"),
    ("SENTRY_TRACES_SAMPLE_RATE", "1.5", "a number from 0 to 1"),
    ("SENTRY_TRACES_SAMPLE_RATE", "nan", "a number from 0 to 1"),
    ("PUBLIC_URL", "items.example.org", "an address such as https://items.example.org"),
    ("PUBLIC_URL", "http:", "an address such as https://items.example.org"),
    ("PUBLIC_URL", "https:///items", "an address such as https://items.example.org"),
    ("PUBLIC_URL", "ftp://items.example.org", "an address such as https://items.example.org"),
    ("TRUSTED_PROXIES", "all", "the number of proxies in front, 0 to 10"),
    ("RATE_LIMIT_STORAGE_URL", f"u:{SECRET}@host", "database://, memory:// or"),
    ("RATE_LIMIT_STORAGE_URL", f"memcached://{SECRET}", "database://, memory:// or"),
    ("SCHEDULER_ENABLED", "2", "true or false"),
    ("PORT", "65536", "a port, 1 to 65535"),
    ("WEB_CONCURRENCY", "0", "a number of workers, 1 to 256"),
]


def settings(**environ: str) -> dict[str, object]:
    return load_settings({"SECRET_KEY": KEY, **environ})


@pytest.mark.parametrize(("name", "value", "accepts"), BAD)
def test_a_bad_setting_is_refused_in_one_line_that_says_what_it_accepts(
    name: str, value: str, accepts: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        settings(**{name: value})
    text = str(refusal.value)
    assert text.startswith(f"{name}: ")
    assert accepts in text
    assert len(text.splitlines()) == 1
    assert SECRET not in text


def test_every_setting_that_can_be_wrong_is_tried_above() -> None:
    free = {setting.name for setting in SETTINGS if setting.parse is str}
    free |= {"TRUSTED_HOSTS"}  # Any list of names will do.
    assert {setting.name for setting in SETTINGS} - free == {name for name, _, _ in BAD}


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "SECRET_KEY"),
        ({"SECRET_KEY": ""}, "SECRET_KEY"),
        ({"SECRET_KEY": "   "}, "SECRET_KEY"),
        ({"SECRET_KEY": "too-short"}, "SECRET_KEY"),
        ({"SECRET_KEY": KEY, "LOG_LEVEL": "debug"}, "LOG_LEVEL"),
        ({"SECRET_KEY": KEY, "FLASK_DEBUG": "1"}, "FLASK_DEBUG"),
    ],
)
def test_production_refuses_what_is_only_good_for_development(
    environ: dict[str, str], name: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_settings({"APP_ENV": "production", **environ})
    text = str(refusal.value)
    assert text.startswith(f"{name}: ")
    assert len(text.splitlines()) == 1
    assert "too-short" not in text


def test_production_starts_with_a_real_key() -> None:
    config = settings(APP_ENV="production", FLASK_DEBUG="0")
    assert config["SESSION_COOKIE_SECURE"] is True
    assert config["TESTING"] is False


def test_everything_has_a_working_default_outside_production() -> None:
    config = settings()
    assert config["APP_ENV"] == "development"
    assert (config["LOG_LEVEL"], config["LOG_FORMAT"]) == ("INFO", "text")
    assert (config["LOG_FILE_MAX_BYTES"], config["LOG_FILE_BACKUP_COUNT"]) == (10_485_760, 10)
    assert config["SQLALCHEMY_DATABASE_URI"] == f"sqlite:///{ROOT / 'instance' / 'app.db'}"
    assert config["LOG_STORE_URL"] == f"sqlite:///{ROOT / 'instance' / 'logs.db'}"
    assert config["LOG_DIR"] == str(ROOT / "logs")
    assert config["SCHEDULER_ENABLED"] is True
    assert config["MAX_CONTENT_LENGTH"] > config["UPLOAD_MAX_BYTES"]


@pytest.mark.parametrize("blank", ["", "  "])
def test_an_empty_value_means_the_default(blank: str) -> None:
    config = settings(PORT=blank, LOG_LEVEL=blank, LOG_DIR=blank)
    assert (config["PORT"], config["LOG_LEVEL"]) == (8000, "INFO")
    assert config["LOG_DIR"] == str(ROOT / "logs")


@pytest.mark.parametrize(
    ("database", "store"),
    [
        ("sqlite:////var/lib/items.db", "sqlite:////var/lib/logs.db"),
        ("postgres://u@host/name", "postgresql+psycopg://u@host/name"),
        ("postgresql://u@host/name", "postgresql+psycopg://u@host/name"),
    ],
)
def test_the_log_store_is_beside_the_database(database: str, store: str) -> None:
    config = settings(DATABASE_URL=database)
    assert config["LOG_STORE_URL"] == store
    assert config["SQLALCHEMY_BINDS"]["logs"]["url"] == store


@pytest.mark.parametrize(
    "url", ["mongodb://u:p@a,b:27018/logs?replicaSet=r", "mongodb+srv://db.invalid/?srvMaxHosts=2"]
)
def test_a_log_store_on_mongodb_is_no_database_of_sqlalchemy(url: str) -> None:
    config = settings(LOG_STORE_URL=url)
    assert (config["LOG_STORE_URL"], config["SQLALCHEMY_BINDS"]) == (url, {})


def test_no_engine_shows_its_parameters_and_servers_may_restart() -> None:
    config = settings(DATABASE_URL="postgresql://u@host/name")
    engines = [config["SQLALCHEMY_ENGINE_OPTIONS"], config["SQLALCHEMY_BINDS"]["logs"]]
    assert all(engine["hide_parameters"] and engine["pool_pre_ping"] for engine in engines)
    assert all(engine["connect_args"]["connect_timeout"] == 5 for engine in engines)


def test_values_are_typed() -> None:
    config = settings(
        ALERT_RECIPIENTS="a@example.com, b@example.com", SMTP_STARTTLS="Yes", PORT=" 80 "
    )
    assert config["ALERT_RECIPIENTS"] == ["a@example.com", "b@example.com"]
    assert config["SMTP_STARTTLS"] is True
    assert config["PORT"] == 80


def test_each_line_of_the_example_means_the_default_when_it_is_uncommented() -> None:
    text = (ROOT / ".env.example").read_text()
    listed = dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.MULTILINE))
    assert load_settings(listed, {"SECRET_KEY": KEY}) == settings()


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("sqlite:///var/shop.db", f"sqlite:///{ROOT}/var/shop.db"),
        ("sqlite:////var/shop.db", "sqlite:////var/shop.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite:///file:shop?mode=ro&uri=true", "sqlite:///file:shop?mode=ro&uri=true"),
        ("sqlite:///shop.db?timeout=9", f"sqlite:///{ROOT}/shop.db?timeout=9"),
    ],
)
def test_a_database_file_may_be_given_from_the_project(url: str, meant: str) -> None:
    config = settings(DATABASE_URL=url, LOG_STORE_URL=url)
    assert (config["SQLALCHEMY_DATABASE_URI"], config["LOG_STORE_URL"]) == (meant, meant)


def test_the_stack_passes_every_setting_that_it_does_not_fix() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    passed = set(re.findall(r"^    ([A-Z_]+): \$\{\1:-\w*\}$", text, re.MULTILINE))
    # Where things are in the image, and what the services share.
    fixed = {"DATABASE_URL", "LOG_DIR", "UPLOAD_FOLDER", "PORT", "SCHEDULER_ENABLED"}
    assert passed == {setting.name for setting in SETTINGS} - fixed


def test_a_folder_may_be_given_from_the_project() -> None:
    assert settings(LOG_DIR="var/log")["LOG_DIR"] == str(ROOT / "var" / "log")
    assert settings(LOG_DIR="/var/log/shop")["LOG_DIR"] == "/var/log/shop"


@pytest.mark.parametrize(
    ("name", "meant"),
    [("LOG_LEVL", "LOG_LEVEL"), ("DATABASE_URI", "DATABASE_URL"), ("SECRETKEY", "SECRET_KEY")],
)
def test_a_name_that_is_nearly_a_settings_is_found(name: str, meant: str) -> None:
    others = ("PATH", "HOME", "PORT", "PORTS", "PORT0", "SENTRY_RELEASE", "POSTGRES_PASSWORD",
              "DATABASE_USER", "DATABASE_TLS_URL", "SECRET_KEY_BASE")  # fmt: skip
    assert misspelt({name: "x", **dict.fromkeys(others, "x")}) == {name: meant}


def test_overrides_win_and_flasks_own_keys_pass_through() -> None:
    config = load_settings({"PORT": "1", "SECRET_KEY": KEY}, {"PORT": 2, "WTF_CSRF_ENABLED": False})
    assert (config["PORT"], config["WTF_CSRF_ENABLED"]) == (2, False)


def test_processes_that_start_together_share_one_development_key(tmp_path: Path) -> None:
    program = (
        "import config, pathlib, sys; sys.stdin.readline()\n"
        "for n in range(60): print(config._development_key(pathlib.Path(sys.argv[1], str(n), 'k')))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for _ in range(4)
    ]  # fmt: skip
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0].split() for process in processes]
    kept = [(tmp_path / str(number) / "k").read_text() for number in range(60)]
    assert all(keys == kept for keys in answers)
    assert {len(key) for key in kept} == {64}
    assert (tmp_path / "0" / "k").stat().st_mode & 0o077 == 0
    assert [one.name for one in (tmp_path / "0").iterdir()] == ["k"]


def test_a_folder_that_takes_no_key_is_a_clear_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("config.INSTANCE", tmp_path / "file")
    with pytest.raises(ConfigError, match=r"^SECRET_KEY: none is set and .+; set SECRET_KEY"):
        load_settings({})
