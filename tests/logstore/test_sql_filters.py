import pytest
from sqlalchemy import Engine, select, text

from app.logstore.contract import LogQuery
from app.logstore.sql_filters import indexed, scanned
from app.models.log import Log
from tests.logstore.stores import open_engine


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (LogQuery(levels=("ERROR",)), "ix_logs_level_id"),
        (LogQuery(actions=("login_failed",)), "ix_logs_action_id"),
        (LogQuery(request_id="r"), "ix_logs_request_id_id"),
        (LogQuery(user_id="7"), "ix_logs_user_id_id"),
        (LogQuery(user_id="7", levels=("ERROR",)), "ix_logs_level_id"),
        (LogQuery(user_id="7", actions=("login_failed",)), "ix_logs_action_id"),
        (LogQuery(user_id="7", request_id="r"), "ix_logs_request_id_id"),
        (LogQuery(user_id="7", fingerprint="f"), "ix_logs_exception_fingerprint_id"),
        (LogQuery(fingerprint="f"), "ix_logs_exception_fingerprint_id"),
        (LogQuery(status_min=403, status_max=403), "ix_logs_status_id"),
        (LogQuery(status_min=429, status_max=429, user_id="7"), "ix_logs_status_id"),
        (LogQuery(status_min=500, status_max=599), "ix_logs_failed_id"),
        (LogQuery(equal=(("parent_request_id", "r"),)), "ix_logs_parent_request_id_id"),
    ],
)
def test_what_is_rare_is_found_through_its_index(
    tmp_path_factory: pytest.TempPathFactory, query: LogQuery, index: str
) -> None:
    engine: Engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('db') / 'logs.db'}")
    statement = (
        select(Log.id).where(*indexed(query), *scanned(query)).order_by(Log.id.desc()).limit(50)
    )
    compiled = statement.compile(engine, compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        plan = [row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}"))]
    assert len(plan) == 1
    assert index in plan[0].split()


@pytest.mark.parametrize(
    "query",
    [
        LogQuery(levels=("INFO", "ERROR")),
        LogQuery(actions=("request",)),
        LogQuery(without=(LogQuery(actions=("sample",)),)),
        LogQuery(account="a"),
        LogQuery(texts=("x",)),
        LogQuery(status_min=1),
    ],
)
def test_what_no_index_serves_is_looked_for_in_slices(query: LogQuery) -> None:
    assert indexed(query) == []
    assert len(scanned(query)) == 1
