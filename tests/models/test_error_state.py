from datetime import UTC, datetime

from flask import Flask

from app.extensions import db
from app.models.error_state import ErrorState


def test_a_resolution_keeps_its_instant_in_utc(app_context: Flask) -> None:
    at = datetime(2026, 11, 25, 12, tzinfo=UTC)
    db.session.add(ErrorState(fingerprint="f", resolved_at=at, resolved_by="ada@example.com"))
    db.session.commit()
    db.session.expire_all()
    found = db.session.get(ErrorState, "f")
    assert found is not None
    assert (found.resolved_at, found.release) == (at, None)
