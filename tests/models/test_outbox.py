from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from app import db
from app.models.outbox import OutboxRecord
from app.observability.ids import new_id


def test_a_record_waits_with_its_id_its_line_and_its_time(app_context: Flask) -> None:
    record_id = new_id()
    db.session.add(OutboxRecord(id=record_id, record='{"message": "ü"}'))
    db.session.commit()
    db.session.expire_all()
    kept = db.session.get(OutboxRecord, record_id)
    assert kept is not None
    assert kept.record == '{"message": "ü"}'
    assert datetime.now(UTC) - kept.created_at < timedelta(minutes=1)


def test_one_id_waits_once(app_context: Flask) -> None:
    record_id = new_id()
    db.session.add(OutboxRecord(id=record_id, record="{}"))
    db.session.commit()
    db.session.expunge_all()
    db.session.add(OutboxRecord(id=record_id, record="{}"))
    with pytest.raises(IntegrityError):
        db.session.flush()


def test_it_is_in_the_database_of_the_changes_and_not_in_the_log_store(app: Flask) -> None:
    with app.app_context():
        assert db.inspect(db.engines[None]).has_table("outbox")
        assert not db.inspect(db.engines["logs"]).has_table("outbox")
