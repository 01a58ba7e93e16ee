"""The overview: what a person asks first. Is something wrong, since when, and where."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.blueprints.admin.blueprint import bp, viewed
from app.blueprints.admin.filters import Filters
from app.blueprints.admin.present import duration
from app.blueprints.admin.sparkline import Sparkline, sparkline
from app.blueprints.admin.words import quoted
from app.models.types import utc_now
from app.services import log_language, log_overview
from app.services.log_overview import Figure, Window

_WORDS = {
    "1h": "hour", "6h": "6 hours", "24h": "24 hours", "7d": "7 days", "30d": "30 days",
}  # fmt: skip
# An address has whole seconds, and its end is not in it.
_SECOND = timedelta(seconds=1)
# Title, what the number is of, and the search for the records behind it.
_TITLES = {
    "request_rate": ("Requests", "in the last 5 minutes", "action:request"),
    "response_time": ("Response time", "95 of 100 were faster",
                      "action:request duration:>{over}"),
    "error_rate": ("Error rate", "of requests failed", "action:request status:5xx"),
    # What a request took in the database it took in all, at least.
    "query_time": ("Query time", "in the database, 95 of 100 requests",
                   "action:request duration:>{over}"),
    "connection_pool": ("Connection pool", "in use, of the fullest process", "action:sample"),
    "disk_free": ("Free disk", "of the fullest disk", "action:sample"),
    "memory": ("Memory", "of the largest process", "action:sample"),
    "cpu": ("CPU", "of a core, of the busiest process", "action:sample"),
    "failed_logins": ("Failed log-ins", "in the last hour", "action:login_failed"),
    "email_failures": ("E-mail failures", "of mails in the last hour", "action:email_failed"),
}  # fmt: skip


@dataclass(frozen=True)
class Tile:
    """A figure as the page shows it; `said` is its chart in words.

    `href` leads to the records behind the number, `chart_href` to those behind its chart.
    """

    figure: Figure
    title: str
    note: str
    also: list[tuple[str, str]]
    number: str
    unit: str
    limit: str
    said: str
    href: str
    chart_href: str
    chart: Sparkline


@bp.get("")
@bp.get("/")
def index() -> ResponseReturnValue:
    """Show how the application is and was in a window of time."""
    asked = request.args.get("window", log_overview.DEFAULT)
    window = log_overview.WINDOWS.get(asked, log_overview.WINDOWS[log_overview.DEFAULT])
    now = utc_now()
    found = log_overview.overview(window.name, now)
    viewed("overview", window=window.name)
    tiles = [tile(figure, window, now) for figure in found.figures]
    return render_template(
        "admin/overview.html",
        found=found,
        # What is over its threshold comes first; the sort keeps the order of the rest.
        tiles=sorted(tiles, key=lambda one: not one.figure.over),
        windows=_WORDS,
        log=log_link,
        beyond=beyond,
    )


def log_link(query: str, window: str, **values: Any) -> str:
    """Return the address of the log page with a search; a value with spaces is quoted."""
    return url_for("admin.logs", q=_spelt(query, values), range=window)


def _spelt(query: str, values: Mapping[str, Any]) -> str:
    return query.format(**{name: quoted(value) for name, value in values.items()})


def beyond(milliseconds: float | None) -> int:
    """Return from where to search for what took so long: it is known within 5 % only."""
    return int(0.95 * (milliseconds or 0))


def tile(figure: Figure, window: Window, now: datetime) -> Tile:
    """Return a figure of `now` as the page shows it."""
    title, note, query = _TITLES[figure.name]
    query = _spelt(query, {"over": beyond(figure.value)})
    filters = Filters(log_language.parse(query))
    counted: dict[str, Any] = filters.zoomed(figure.counted_since, now + _SECOND)
    number, unit = amount(figure.value, figure.unit)
    values = [value for _, value in figure.points]
    limit = "" if figure.limit is None else " ".join(amount(figure.limit, figure.unit)).strip()
    return Tile(
        figure=figure,
        title=title,
        note=note,
        also=[(name, " ".join(amount(value, figure.unit))) for name, value in figure.also.items()],
        number=number,
        unit=unit,
        limit=limit,
        said=in_words(figure, window, limit),
        href=url_for("admin.logs", **counted),
        chart_href=log_link(query, window.name),
        chart=sparkline(values, figure.limit),
    )


def in_words(figure: Figure, window: Window, limit: str) -> str:
    """Return what a chart shows, for those who do not see it."""
    known = [(value, start) for start, value in figure.points if value is not None]
    if not known:
        return f"Nothing known in the last {_WORDS[window.name]}."
    (lowest, _), (highest, when) = min(known), max(known)
    ends = [" ".join(amount(value, figure.unit)).strip() for value in (lowest, highest)]
    span = f"In the last {_WORDS[window.name]} from {ends[0]} to {ends[1]}"
    said = f"{span}, the most at {when:%d %b %H:%M} UTC."
    return f"{said} Threshold {limit}." if limit else said


def amount(value: float | None, unit: str) -> tuple[str, str]:
    """Return a number and its unit as a person would say them."""
    if value is None:
        return "-", ""
    if unit == "ms":
        number, _, spoken = duration(value).partition(" ")
        return number, spoken
    if unit == "percent":
        return _number(value), "%"
    if unit == "megabytes":
        return _number(value), "MB"
    if unit == "per hour":
        # A step of the chart may be longer than an hour, or not over yet.
        return f"{value:,.0f}", "an hour"
    return _number(value), "a minute"


def _number(value: float) -> str:
    if value == int(value) or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 1 else f"{value:.1f}"
