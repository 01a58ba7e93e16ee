"""Measure, compare with the rule, and tell somebody at most once an hour, whatever runs where."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import current_app
from sqlalchemy import Connection, Update, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from app.alerting import notifiers
from app.alerting.rules import ERROR_RATE, RULES, Rule
from app.extensions import db
from app.models.alert import FIRING, OK, AlertState
from app.models.types import utc_now
from app.services import log_service

REPEAT_AFTER = timedelta(hours=1)
# Longer than a mail can take; after it another host may try, should this one have died.
_CLAIM = timedelta(minutes=10)
_SHOWN = 5


def check_error_rate() -> int:
    """Count the last hour's `error` records, alert above ALERT_ERRORS_PER_HOUR; return the count.

    Of all hosts together one mail goes out in an hour. One that could not be sent is tried
    again at the next check.
    """
    count = log_service.count_errors(ERROR_RATE.window_hours)
    evaluate(ERROR_RATE, count, _describe_errors)
    return count


def evaluate(rule: Rule, value: float, describe: Callable[[Rule, float, float], str]) -> None:
    """Keep the rule's state and, if it fires and nobody was told lately, tell somebody."""
    limit = current_app.config[rule.threshold]
    firing = value > limit
    _remember(rule, value, FIRING if firing else OK)
    if not firing or not _claim(rule):
        return
    told = False
    try:
        subject = rule.headline.format(value=value, limit=limit)
        told = notifiers.send_alert(subject, describe(rule, value, limit), rule.severity)
        # With nobody to mail to, the event is all there is: once an hour is often enough.
        told = told or bool(notifiers.missing_settings())
    finally:
        _release(rule, told)


def firing_rules() -> dict[str, bool]:
    """Return for each rule whether it fires now."""
    with db.engine.connect() as connection:
        rows = connection.execute(select(AlertState.rule, AlertState.state))
        states = {row.rule: row.state for row in rows}
    return {rule.name: states.get(rule.name) == FIRING for rule in RULES}


def _remember(rule: Rule, value: float, state: str) -> None:
    now = utc_now()
    with db.engine.begin() as connection:
        changed = _of(rule).where(AlertState.state != state).values(state=state, changed_at=now)
        connection.execute(changed)
        if connection.execute(_of(rule).values(value=value)).rowcount:
            return
    first = insert(AlertState).values(rule=rule.name, state=state, value=value, changed_at=now)
    try:
        with db.engine.begin() as connection:
            connection.execute(first)
    except IntegrityError:
        # Another host was first; at the next check the row is there for both.
        return


def _claim(rule: Rule) -> bool:
    """Win the right to send, against all other hosts, by one conditional UPDATE."""
    now = utc_now()
    free = or_(AlertState.claimed_until.is_(None), AlertState.claimed_until < now)
    due = or_(AlertState.last_sent_at.is_(None), AlertState.last_sent_at <= now - REPEAT_AFTER)
    with db.engine.begin() as connection:
        claimed = _of(rule).where(free, due).values(claimed_until=now + _CLAIM)
        return _changed(connection, claimed) == 1


def _release(rule: Rule, told: bool) -> None:
    sent: dict[str, Any] = {"last_sent_at": utc_now()} if told else {}
    with db.engine.begin() as connection:
        connection.execute(_of(rule).values(claimed_until=None, **sent))


def _of(rule: Rule) -> Update:
    return update(AlertState).where(AlertState.rule == rule.name)


def _changed(connection: Connection, statement: Update) -> int:
    return int(connection.execute(statement).rowcount)


def _describe_errors(rule: Rule, value: float, limit: float) -> str:
    kinds = log_service.get_error_summary(rule.window_hours)
    lines = [
        "What happened",
        f"  {value:g} errors in the last hour; {rule.threshold} is {limit:g}.",
        "",
        "  count  last (UTC)  what failed",
    ]
    for kind in kinds[:_SHOWN]:
        what = kind["exception_type"] or "error without an exception"
        lines += [
            f"  {kind['count']:5}  {kind['last_seen']:%H:%M:%S}    {what} in {kind['action']}",
            f"                     {kind['place']}",
            f"                     /admin/logs/{kind['last_id']}",
        ]
    if len(kinds) > _SHOWN:
        lines.append(f"  and {len(kinds) - _SHOWN} more kinds")
    return "\n".join([*lines, "", "  " + rule.advice])
