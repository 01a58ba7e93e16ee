"""Follow the log: what was stored since the last look, at the cost of one indexed query."""

import hashlib
from dataclasses import dataclass, replace

from flask import current_app
from itsdangerous import BadData, URLSafeTimedSerializer

from app.services import log_service
from app.services.log_service import LogQuery, Record

SHOWN = 200
LOOKED_AT = 1_000
FIRST = 50
# After so long somebody looks anew, and that is recorded anew.
MAX_AGE = 12 * 3600


@dataclass(frozen=True)
class News:
    """What a look found, newest first; `cursor` is for the next look, None where nothing changed.

    `begun` tells that it follows on nothing. `skipped` records were left out; with `more` that
    is how many at least.
    """

    records: list[Record]
    cursor: str | None
    begun: bool = False
    skipped: int = 0
    more: bool = False


def follow(query: LogQuery, cursor: str | None, reader: str) -> News:
    """Return what was stored since `cursor` gave out; begin with the newest where it is none.

    A cursor is signed for its reader, of who asks and what: nobody can make up one, and so read
    the log by polls, of which no record tells.
    """
    # What is stored from now on is not older than an end that lies in the past.
    query = replace(query, until=None)
    known = _known(cursor, reader)
    if known is None:
        records, end = log_service.tail(query, None, FIRST)
        return News(_sorted(records), _signed(end, reader), begun=True)
    records, end = log_service.tail(query, known, LOOKED_AT)
    if len(records) < LOOKED_AT:
        skipped = max(len(records) - SHOWN, 0)
        signed = _signed(end, reader) if end != known else None
        return News(_sorted(records)[:SHOWN], signed, skipped=skipped)
    newest, end = log_service.tail(query, None, SHOWN)
    return News(
        _sorted(newest), _signed(end, reader), skipped=LOOKED_AT - len(newest), more=True
    )  # fmt: skip


def _sorted(records: list[Record]) -> list[Record]:
    return sorted(records, key=lambda record: str(record["id"]), reverse=True)


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="log-tail")


def _signed(cursor: str, reader: str) -> str:
    return str(_serializer().dumps([_short(reader), cursor]))


def _known(signed: str | None, reader: str) -> str | None:
    try:
        whose, cursor = _serializer().loads(signed or "", max_age=MAX_AGE)
    except BadData:
        return None
    return str(cursor) if whose == _short(reader) else None


def _short(reader: str) -> str:
    return hashlib.sha256(reader.encode()).hexdigest()[:16]
