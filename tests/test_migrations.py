"""`flask db` as people use it, on SQLite and on PostgreSQL with both databases in one."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, migrate, upgrade
from pymongo import MongoClient
from sqlalchemy import Engine, create_engine, inspect

from app import create_app, db
from app.cli import migrations
from app.logstore.sql_store import SqlStore
from tests.helpers import ROOT, SECRET_KEY, run_flask, server_env
from tests.logstore.stores import count, put, sample

VERSION_TABLES = {None: "alembic_version", "logs": "alembic_version_logs"}


@pytest.fixture
def app(tmp_path: Path, database_url: str) -> Flask:
    """An app without any table, and with a copy of the migrations it may write to."""
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations")
    made = create_app({
        "APP_ENV": "testing", "SECRET_KEY": SECRET_KEY, "DATABASE_URL": database_url,
        "LOG_DIR": str(tmp_path / "logs"), "UPLOAD_FOLDER": str(tmp_path / "uploads"),
    })  # fmt: skip
    # Where the commands look.
    migrations.load(made).directory = made.extensions["migrate"].directory = str(
        tmp_path / "migrations"
    )
    return made


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def in_models(bind: str | None) -> set[str]:
    return set(db.metadatas[bind].tables)


def differences(engine: Engine, bind: str | None) -> list[Any]:
    def own(name: str | None, kind: str, _parents: Any) -> bool:
        return kind != "table" or name in in_models(bind)

    with engine.connect() as connection:
        options = {"include_name": own, "compare_type": True, "version_table": VERSION_TABLES[bind]}
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, db.metadatas[bind])


def revisions(app: Flask) -> dict[str, str]:
    folder = Path(app.extensions["migrate"].directory) / "versions"
    assert not folder.is_relative_to(ROOT)
    return {path.name: path.read_text() for path in folder.glob("*.py")}


def test_the_migrations_make_exactly_what_the_models_say(app: Flask) -> None:
    with app.app_context():
        upgrade()
        for bind, version_table in VERSION_TABLES.items():
            engine = db.engines[bind]
            assert differences(engine, bind) == []
            assert in_models(bind) | {version_table} <= tables(engine)
            keys = {name: inspect(engine).get_pk_constraint(name) for name in in_models(bind)}
            wanted = {name: list(db.metadatas[bind].tables[name].primary_key.columns.keys())
                      for name in in_models(bind)}  # fmt: skip
            assert {name: key["constrained_columns"] for name, key in keys.items()} == wanted


def test_a_difference_from_the_models_is_seen(app: Flask) -> None:
    with app.app_context():
        upgrade()
        with db.engines["logs"].begin() as connection:
            connection.exec_driver_sql("DROP INDEX ix_logs_request_id_id")
        assert len(differences(db.engines["logs"], "logs")) == 1


def test_a_database_that_is_up_to_date_needs_no_new_revision(app: Flask) -> None:
    with app.app_context():
        upgrade()
        # With the partitions that come with the first records.
        put(SqlStore(db.engines["logs"]), sample(), sample(level="ERROR"))
        before = revisions(app)
        migrate(message="nothing")
        assert revisions(app) == before


def test_a_change_in_either_database_becomes_a_revision_for_that_one(app: Flask) -> None:
    with app.app_context():
        upgrade()
        with db.engines["logs"].begin() as connection:
            connection.exec_driver_sql("DROP INDEX ix_logs_request_id_id")
        migrate(message="index", rev_id="0002")
        upgrade()
        assert differences(db.engines["logs"], "logs") == []
    space: dict[str, Any] = {}
    exec(revisions(app)["0002_index.py"], space)
    assert space["upgrade_"].__code__.co_names == ()
    assert "create_index" in space["upgrade_logs"].__code__.co_names


def test_going_down_takes_every_table_and_going_up_again_brings_them_back(app: Flask) -> None:
    with app.app_context():
        for _ in range(2):
            upgrade()
            put(SqlStore(db.engines["logs"]), sample())
            assert count(db.engines["logs"]) == 1
            downgrade(revision="base")
            left = tables(db.engines["logs"]) | tables(db.engine)
            assert left == set(VERSION_TABLES.values())


def test_the_log_and_the_app_keep_their_versions_apart(app: Flask) -> None:
    with app.app_context():
        upgrade()
        for bind, version_table in VERSION_TABLES.items():
            with db.engines[bind].connect() as connection:
                found = connection.exec_driver_sql(f"SELECT * FROM {version_table}").all()
            assert [tuple(row) for row in found] == [("0001",)]


def test_two_that_upgrade_at_once_do_not_disturb_each_other(
    tmp_path: Path, database_url: str
) -> None:
    env = server_env(tmp_path, DATABASE_URL=database_url)
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"]
    both = [subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE) for _ in range(2)]
    answers = [one.communicate(timeout=60)[1].decode() for one in both]
    assert [one.returncode for one in both] == [0, 0], answers
    engine = create_engine(database_url)
    assert in_models(None) <= tables(engine)
    engine.dispose()


def test_the_commands_themselves_run(tmp_path: Path, database_url: str) -> None:
    env = server_env(tmp_path, DATABASE_URL=database_url)
    run_flask(env, "db", "upgrade")
    assert run_flask(env, "db", "check", check=False).returncode == 0
    assert run_flask(env, "db", "upgrade", "--sql").returncode == 0
    run_flask(env, "db", "downgrade")


def test_a_log_store_on_mongodb_gets_its_indexes_with_the_upgrade(
    tmp_path: Path, mongo_url: str
) -> None:
    env = server_env(tmp_path, LOG_STORE_URL=mongo_url)
    run_flask(env, "db", "upgrade")
    run_flask(env, "db", "check")
    with MongoClient(mongo_url) as client:
        names = client.get_default_database()["logs"].index_information()
    assert "source_1_seq_1" in names
    assert in_models(None) <= tables(create_engine(env["DATABASE_URL"]))

    away = {**env, "LOG_STORE_URL": "mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=50"}
    refused = run_flask(away, "db", "upgrade", check=False)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("Error: The log store does not answer: ")
    assert "Traceback" not in refused.stderr
