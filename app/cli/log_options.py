"""What the log commands take: options they share, and how a time, a status or a user is read."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar

import click

from app.services import log_language
from app.services.log_service import WITHOUT_SAMPLES, LogQuery

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(r"(\d{1,6})([smhdw])")
_STATUS = re.compile(r"([1-5])(\d\d|xx)")
Command = TypeVar("Command", bound=Callable[..., Any])


class _BadValue(click.ClickException):
    """Say in one line what is wrong with a value; exits as a wrong use does."""

    exit_code = 2


class _Type(click.ParamType[Any]):
    problem: ClassVar[str]

    def convert(self, value: Any, param: click.Parameter | None, _ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self.read(value)
        except (ValueError, OverflowError):
            name = param.opts[0] if param is not None else self.name
            raise _BadValue(f"{name}: {value!r} is {self.problem}.") from None

    def read(self, value: str) -> Any:
        """Return what a text means; raise ValueError if it means nothing."""
        raise ValueError(value)


class Since(_Type):
    """Read `90s`, `15m`, `1h`, `7d`, `2w` or an RFC 3339 time as an instant in UTC."""

    name = "since"
    problem = "neither a span such as 1h, 24h or 7d nor a time such as 2026-11-23T18:30:00Z"

    def read(self, value: str) -> datetime:
        if span := _SPAN.fullmatch(value):
            return datetime.now(UTC) - timedelta(**{_UNITS[span[2]]: int(span[1])})
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


class Status(_Type):
    """Read `404` or `4xx` as the lowest and the highest status it means."""

    name = "status"
    problem = "no status such as 404 or 4xx"

    def read(self, value: str) -> tuple[int, int]:
        found = _STATUS.fullmatch(value.lower())
        if found is None:
            raise ValueError(value)
        first = int(found[1]) * 100
        return (first, first + 99) if found[2] == "xx" else (int(value), int(value))


class User(_Type):
    """Read a user's number or e-mail address as the fields of a query."""

    name = "user"
    problem = "neither a user's number nor an e-mail address"

    def read(self, value: str) -> dict[str, Any]:
        if value.isascii() and value.isdigit():
            return {"user_id": value}
        if "@" not in value:
            raise ValueError(value)
        return {"account": value.lower()}


class Search(_Type):
    """Read a search as the log page's box takes it as a query."""

    name = "search"
    problem = "no search"

    def read(self, value: str) -> LogQuery:
        found = log_language.parse(value)
        if found.problems:
            first = found.problems[0]
            meant = f" Try {first.instead}" if first.instead else ""
            raise _BadValue(f"At character {first.start + 1}: {first.message}{meant}")
        return found.query


def _one_search(
    context: click.Context, param: click.Parameter, words: tuple[str, ...]
) -> LogQuery | None:
    # Whoever leaves out the shell's quotes means one search all the same.
    found: LogQuery | None = Search().convert(" ".join(words), param, context) if words else None
    return found


def since_option(default: str | None) -> Callable[[Command], Command]:
    """Return the option --since; the default shows in the help."""
    shown = default or "everything"
    text = f"How far to look back: 1h, 24h, 7d or an RFC 3339 time. Default: {shown}."
    return click.option("--since", type=Since(), default=default, metavar="SINCE", help=text)


def limit_option(default: int) -> Callable[[Command], Command]:
    """Return the option --limit."""
    text = f"At most this many, the newest of them. Default: {default}."
    kind = click.IntRange(1, 1_000_000)
    return click.option("-n", "--limit", type=kind, default=default, metavar="N", help=text)


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
level_option = click.option(
    "--level", type=click.Choice(LEVELS, case_sensitive=False), help="This level and above."
)
action_option = click.option("--action", "actions", multiple=True, help="May be given again.")


def levels_from(level: str | None) -> tuple[str, ...]:
    """Return a level and those above it; no level means all."""
    return LEVELS[LEVELS.index(level) :] if level else ()


def hours_since(since: datetime) -> float:
    """Return the hours that have passed, at least an instant."""
    return max((datetime.now(UTC) - since).total_seconds() / 3600, 1e-6)


def filter_options(command: Command) -> Command:
    """Give a command the filters of `search`; query_from() takes them."""
    for option in reversed((
        click.argument("search", nargs=-1, callback=_one_search),
        level_option,
        action_option,
        click.option("--route", help="A route's pattern, as the log shows it."),
        click.option("--user", type=User(), metavar="USER", help="A user's number or address."),
        click.option("--request", "request_id", help="Everything under one request ID."),
        click.option("--status", type=Status(), metavar="STATUS", help="404, or 4xx for all."),
        since_option(None),
    )):  # fmt: skip
        command = option(command)
    return command


def query_from(
    *, search: LogQuery | None, level: str | None, actions: tuple[str, ...],
    user: dict[str, Any] | None, status: tuple[int, int] | None, **same: Any,
) -> LogQuery:  # fmt: skip
    """Return the question of a search and the filter options; an option has the last word."""
    asked = search or LogQuery(without=WITHOUT_SAMPLES)
    lowest, highest = status or (None, None)
    given = {
        "levels": levels_from(level), "actions": actions,
        "status_min": lowest, "status_max": highest, **(user or {}), **same,
    }  # fmt: skip
    query = replace(asked, **{name: value for name, value in given.items() if value})
    if query.actions or query.request_id:
        return replace(query, without=tuple(
            one for one in query.without if one not in WITHOUT_SAMPLES
        ))  # fmt: skip
    return query
