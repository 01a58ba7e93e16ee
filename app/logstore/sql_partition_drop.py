"""Drop partitions of the log on PostgreSQL: whole, and only when they hold what was archived."""

import logging
import re
import time

from sqlalchemy import Connection, Engine, exc, text

from app.logstore.contract import Stretch
from app.logstore.sql_errors import sqlstate

_log = logging.getLogger(__name__)
_BOUNDS = re.compile(r"FROM \((?:MINVALUE|'([0-9a-f-]{36})')\) TO \('([0-9a-f-]{36})'\)")
_TRIES = 100
_PAUSE = 0.03
_IN_USE = {"55P03", "40P01"}  # A lock that is not to be had, a deadlock.
_FIRST_ID = "00000000-0000-0000-0000-000000000000"


def expired_partitions(connection: Connection, keep: str, before: str) -> list[Stretch]:
    """Return the partitions of a class whose records are all below `before`, oldest first."""
    sql = text(
        "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i "
        "JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass(:parent)"
    )
    found = []
    for name, bounds in connection.execute(sql, {"parent": f"logs_{keep}"}):
        # The last one has no end, and so never expires.
        if (ends := _BOUNDS.search(bounds)) and ends[2] <= before:
            found.append(Stretch(keep, ends[1] or _FIRST_ID, ends[2], name))
    return sorted(found, key=lambda one: one.low)


def drop_partition(engine: Engine, stretch: Stretch, count: int) -> bool:
    """Drop a partition that holds exactly `count` records; tell whether it is gone.

    While it is counted only those wait who write into this partition: late records. The class's
    own table is locked only when nobody has to be waited for, so that nobody waits behind us.
    """
    try:
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '2s'"))
            connection.execute(text(f"LOCK TABLE {stretch.whole} IN SHARE MODE"))
            if connection.scalar(text(f"SELECT count(*) FROM {stretch.whole}")) != count:  # noqa: S608
                return False
            if _lock_at_once(connection, stretch):
                connection.execute(text(f"DROP TABLE {stretch.whole}"))
                return True
    except exc.DBAPIError as error:
        if sqlstate(error) not in _IN_USE:
            raise
    _log.warning("A partition is in use and stays for now", extra={
        "details": {"partition": stretch.whole}
    })  # fmt: skip
    return False


def _lock_at_once(connection: Connection, stretch: Stretch) -> bool:
    lock = text(
        f"LOCK TABLE ONLY logs_{stretch.keep}, {stretch.whole} IN ACCESS EXCLUSIVE MODE NOWAIT"
    )
    for _ in range(_TRIES):
        try:
            with connection.begin_nested():
                connection.execute(lock)
        except exc.DBAPIError as error:
            if sqlstate(error) not in _IN_USE:
                raise
            time.sleep(_PAUSE)
        else:
            return True
    return False
