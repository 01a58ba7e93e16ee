"""Measure, compare with the rule, and tell somebody at most once an hour, whatever runs where."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import Update, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.alerting import notifiers
from app.alerting.rules import ERROR_RATE, RULES, Rule
from app.extensions import db
from app.models.alert import FIRING, OK, AlertState
from app.models.types import utc_now
from app.services import alert_service, log_service

REPEAT_AFTER = timedelta(hours=1)
_CLOCKS_DIFFER = timedelta(minutes=5)
_SHOWN = 5


@dataclass(frozen=True)
class RuleState:
    """A rule, its limit, and what the last check of it said; None where none has been yet."""

    rule: Rule
    limit: float
    state: str | None = None
    value: float | None = None
    changed_at: datetime | None = None


def check_error_rate() -> int:
    """Count the last hour's `error` records, alert above ALERT_ERRORS_PER_HOUR; return the count.

    Of all hosts together one mail goes out in an hour. One that could not be sent is tried
    again at the next check.
    """
    count = log_service.count_errors(ERROR_RATE.window_hours)
    evaluate(ERROR_RATE, count, _describe_errors)
    return count


def evaluate(rule: Rule, value: float, describe: Callable[[Rule, float, float], str]) -> None:
    """Keep the rule's state and, if it fires and nobody was told lately, tell somebody.

    A mail counts as sent before it is: a host that dies while it sends delays the next one by an
    hour, and what fails after the mail has gone sends no second one.
    """
    limit = current_app.config[rule.threshold]
    firing = value > limit
    _remember(rule, value, FIRING if firing else OK)
    before, now = _last_sent(rule), utc_now()
    if not firing or not _is_due(before, now) or not _change_last_sent(rule, before, now):
        return
    told = False
    try:
        subject = rule.headline.format(value=value, limit=limit)
        told = notifiers.send_alert(subject, describe(rule, value, limit), rule.severity)
        # With nobody to mail to, the event is all there is: once an hour is often enough.
        told = told or bool(alert_service.missing_settings())
    finally:
        if not told:
            _change_last_sent(rule, now, before)


def rule_states() -> list[RuleState]:
    """Return every rule with what the last check said of it."""
    with db.engine.connect() as connection:
        rows = {row.rule: row for row in connection.execute(select(AlertState.__table__))}
    return [_state_of(rule, rows.get(rule.name)) for rule in RULES]


def firing_rules() -> dict[str, bool]:
    """Return for each rule whether it fires now."""
    return {one.rule.name: one.state == FIRING for one in rule_states()}


def _state_of(rule: Rule, row: Any) -> RuleState:
    limit = current_app.config[rule.threshold]
    if row is None:
        return RuleState(rule, limit)
    return RuleState(rule, limit, row.state, row.value, row.changed_at)


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


def _last_sent(rule: Rule) -> datetime | None:
    with db.engine.connect() as connection:
        return connection.scalar(
            select(AlertState.last_sent_at).where(AlertState.rule == rule.name)
        )


def _is_due(last_sent: datetime | None, now: datetime) -> bool:
    # A time to come is that of a clock which was ahead; it may not silence the rule.
    return last_sent is None or not now - REPEAT_AFTER < last_sent <= now + _CLOCKS_DIFFER


def _change_last_sent(rule: Rule, old: datetime | None, new: datetime | None) -> bool:
    """Win the right to send, against all other hosts, or give it back."""
    changed = _of(rule).where(AlertState.last_sent_at.is_not_distinct_from(old))
    with db.engine.begin() as connection:
        return bool(connection.execute(changed.values(last_sent_at=new)).rowcount)


def _of(rule: Rule) -> Update:
    return update(AlertState).where(AlertState.rule == rule.name)


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
            f"                     {notifiers.link('/admin/logs/' + kind['last_id'])}",
        ]
    if len(kinds) > _SHOWN:
        lines.append(f"  and {len(kinds) - _SHOWN} more kinds")
    return "\n".join([*lines, "", "  " + rule.advice])
