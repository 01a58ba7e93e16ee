"""Questions to the log store from a terminal: `flask logs …`."""

import math
import time
from datetime import datetime
from typing import Any

import click
from flask.cli import AppGroup

from app.cli.log_asking import FilesCommand, explained, looking_back, takes_files
from app.cli.log_format import bar, show, show_heading, show_records, show_table, stamp
from app.cli.log_options import (
    LEVELS,
    User,
    action_option,
    filter_options,
    hours_since,
    json_option,
    level_option,
    levels_from,
    limit_option,
    query_from,
    since_option,
)
from app.services import log_service
from app.services.log_service import WITHOUT_SAMPLES, LogQuery

POLL_SECONDS = 0.5
_PAGE = 500
_MOST_HOURS = 24 * 92

logs = AppGroup("logs", help="Ask the log store what the application did. Times are UTC.")


@logs.command("tail", cls=FilesCommand)
@takes_files
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@level_option
@action_option
@since_option(None)
@limit_option(20)
@json_option
def tail(
    follow: bool, level: str | None, actions: tuple[str, ...], since: datetime | None,
    limit: int, as_json: bool,
) -> None:  # fmt: skip
    """Show the newest records, the newest last."""
    if follow and click.get_current_context().params["files"]:
        raise click.UsageError("--follow: files are read once; follow the store.")
    query = LogQuery(
        levels=levels_from(level), actions=actions, since=since,
        without=() if actions else WITHOUT_SAMPLES,
    )  # fmt: skip
    with explained():
        records, cursor = log_service.tail(query, None, limit)
        show_records(records, as_json)
        while follow:
            time.sleep(POLL_SECONDS)
            records, cursor = log_service.tail(query, cursor, _PAGE)
            show_records(records, as_json)


@logs.command("search", cls=FilesCommand)
@takes_files
@filter_options
@limit_option(50)
@json_option
def search(limit: int, as_json: bool, **filters: Any) -> None:
    """Show records that fit a search and the options, the newest last.

    SEARCH is as in the box of the log page: 'level:>=warning user:7 "exact words" -noise'. One
    that begins with a dash comes after -- and all options. Several words are one search.
    """
    _list(query_from(**filters), limit, as_json)


@logs.command("errors", cls=FilesCommand)
@takes_files
@since_option("1h")
@click.option("--list", "each", is_flag=True, help="Show each record instead of the summary.")
@limit_option(100)
@json_option
def errors(since: datetime, each: bool, limit: int, as_json: bool) -> None:
    """Show what failed, by action, exception and place, the most frequent first."""
    if each:
        _list(LogQuery(levels=levels_from("ERROR"), since=since), limit, as_json)
        return
    with explained():
        rows = log_service.get_error_summary(hours=hours_since(since))[:limit]
    # A person reads "where": the action of a record is another thing.
    shown = {name: name for name in ("count", "action", "exception_type", "place", "last_seen")}
    if not as_json:
        shown["action"] = "where"
    table = [{head: row.get(name) for name, head in shown.items()} for row in rows]
    show_table(table, as_json)
    _say_if_none(rows, since)


@logs.command("slow", cls=FilesCommand)
@takes_files
@since_option("24h")
@limit_option(100)
@json_option
def slow(since: datetime, limit: int, as_json: bool) -> None:
    """Show slow queries, the newest last."""
    _list(LogQuery(actions=("slow_query",), since=since), limit, as_json)


@logs.command("failed-logins", cls=FilesCommand)
@takes_files
@since_option("24h")
@limit_option(100)
@json_option
def failed_logins(since: datetime, limit: int, as_json: bool) -> None:
    """Show failed log-ins, the newest last."""
    _list(LogQuery(actions=("login_failed",), since=since), limit, as_json)


@logs.command("not-found", cls=FilesCommand)
@takes_files
@since_option("24h")
@limit_option(100)
@json_option
def not_found(since: datetime, limit: int, as_json: bool) -> None:
    """Show the paths that answered 404, the most frequent first."""
    with explained():
        found = log_service.not_found(hours=hours_since(since))[:limit]
    show_table([{"count": count, "path": path} for path, count in found], as_json)
    _say_if_none(found, since)


@logs.command("user", cls=FilesCommand)
@takes_files
@click.argument("user", type=User())
@since_option(None)
@limit_option(100)
@json_option
def user_records(user: dict[str, Any], since: datetime | None, limit: int, as_json: bool) -> None:
    """Show all records of one user, by number or e-mail address, the newest last."""
    _list(LogQuery(since=since, **user), limit, as_json)


@logs.command("per-hour", cls=FilesCommand)
@takes_files
@since_option("24h")
@click.option(
    "--level", type=click.Choice(LEVELS, case_sensitive=False), default="ERROR",
    help="Count this level and above. Default: ERROR.",
)  # fmt: skip
@json_option
def per_hour(since: datetime, level: str, as_json: bool) -> None:
    """Show how many records of a level and above each hour had, the running hour last."""
    # A little less than asked: "24h" was a moment ago when it was read.
    hours = max(1, math.ceil(hours_since(since) - 0.01))
    if hours > _MOST_HOURS:
        raise click.ClickException(f"--since: at most {_MOST_HOURS // 24}d, each hour is counted.")
    with explained():
        counts = log_service.per_hour(hours, levels_from(level))
    highest = max(count for _, count in counts)
    if not as_json:
        show_heading(f"{'hour (UTC)':<16}  {'count':>8}  {_counted(level)}")
    for hour, count in counts:
        row: dict[str, Any] = {"hour": f"{hour:%Y-%m-%dT%H:%M:%SZ}", "count": count}
        if as_json:
            show_records([row], as_json=True)
        else:
            show(f"{hour:%Y-%m-%d %H:00}  {count:>8}  {bar(count, highest)}".rstrip())


def _counted(level: str) -> str:
    levels = levels_from(level)
    return f"records of {levels[0]}" + (" and above" if len(levels) > 1 else "")


def _list(query: LogQuery, limit: int, as_json: bool) -> None:
    with explained():
        with looking_back(query.since) as told:
            records = log_service.newest(query, limit, told)
        show_records(reversed(records), as_json)
    _say_if_none(records, query.since)


def _say_if_none(found: list[Any], since: datetime | None) -> None:
    # Not on standard output: a program that reads it finds no lines, and no words.
    if not found:
        span = f" since {stamp(since.isoformat())}" if since else ""
        click.echo(f"Nothing found{span}.", err=True)
