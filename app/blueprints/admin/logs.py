"""The log page, what stands beside its rows, and the page of one record."""

import hashlib
from collections.abc import Iterator
from typing import Any

from flask import Response, abort, current_app, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeTimedSerializer

from app.blueprints.admin import chart
from app.blueprints.admin import filters as log_filters
from app.blueprints.admin.blueprint import asker, bp, viewed
from app.blueprints.admin.filters import Filters
from app.models.types import utc_now
from app.services import log_facets, log_service
from app.services.log_facets import Figures
from app.services.log_keys import ALTERNATIVES, KEYS
from app.services.log_language import Search
from app.services.texts import is_plain

PAGE_SIZE = 50
_ASIDE_MOST = 30
# Figures that come later than this are a view of their own.
_LATE_SECONDS = 60


@bp.get("/logs")
def logs() -> ResponseReturnValue:
    """Show a page of records that fit the search in the address, and what stands beside it.

    What only a look at records can tell is left to `log_figures`: the page does not wait for it.
    """
    filters = log_filters.parse(request.args, utc_now())
    if filters.errors:
        return log_page(filters), 400
    page = log_service.search(filters.query, before=filters.before, limit=PAGE_SIZE)
    late = filters.address()
    if page.records or not filters.before:
        # A search that goes on and finds nothing shows nobody anything.
        viewed("logs", filters=filters.audit())
        late["seen"] = str(_views().dumps(_digest(filters)))
    known = log_facets.counted(filters.query) if log_facets.is_counted(filters.query) else None
    return log_page(filters, page=page, late=late, **beside(filters, known))


@bp.get("/logs/figures")
def log_figures() -> ResponseReturnValue:
    """Show what the log page lacks: users and hosts, and the chart that counts cannot draw.

    The page that brings it is recorded already, and proves that with what it signed.
    """
    filters = log_filters.parse(request.args, utc_now())
    if filters.errors:
        abort(400)
    if not _is_recorded(filters):
        viewed("figures", filters=filters.audit())
    found = log_facets.looked_at(filters.query)
    return render_template("admin/log_figures.html", filters=filters, **beside(filters, found))


@bp.get("/logs/terms")
def log_terms() -> Response:
    """Tell which keys a search may have, and of some the values."""
    values = {
        "action": list(log_filters.ACTIONS),
        "route": sorted({rule.rule for rule in current_app.url_map.iter_rules()}),
    }
    response = jsonify([
        {"key": name, "help": key.help, "values": values.get(name, list(key.values))}
        for name, key in KEYS.items()
    ])  # fmt: skip
    response.headers["Cache-Control"] = "private, max-age=600"
    return response


@bp.get("/logs/<record_id>")
def record(record_id: str) -> ResponseReturnValue:
    """Show every field of one record."""
    found = log_service.get(record_id) if log_filters.is_record_id(record_id) else None
    if found is None:
        abort(404)
    viewed("record", record_id=record_id)
    return render_template("admin/record.html", record=found)


def log_page(filters: Filters, page: Any = None, **more: Any) -> str:
    """Return the log page, with the records that were found if there are any."""
    ranges = [(value, text) for value, (text, _) in log_filters.RANGES.items()]
    return render_template(
        "admin/logs.html",
        filters=filters,
        page=page,
        marked=list(_marked(filters.search)),
        ranges=[*ranges, (log_filters.CUSTOM, "From … to …")],
        keys=KEYS,
        alternatives=ALTERNATIVES,
        **more,
    )


def beside(filters: Filters, found: Figures | None) -> dict[str, Any]:
    """Return what the templates need to draw a chart and facets."""
    return {
        "figures": found,
        "bars": chart.bars(found, filters) if found else [],
        "facets": list(_facets(found)) if found else [],
        "chart": chart,
    }


def _facets(found: Figures) -> Iterator[tuple[str, list[tuple[str, str, int]]]]:
    """Yield each facet's name with (key, value, count) of its values; "" is no key to click."""
    for name, values in found.facets.items():
        if chosen := [(*_term(name, value), count) for value, count in values[:_ASIDE_MOST]]:
            yield name.partition("_")[0], chosen


def _term(name: str, value: str) -> tuple[str, str]:
    if not is_plain(value):
        return "", value
    if name == "status_class":
        return "status", f"{value}xx"
    if name == "user" and not (value.isdigit() or "@" in value):
        return "account", value
    return name, value.lower() if name == "level" else value


def _is_recorded(filters: Filters) -> bool:
    """Tell whether this user's view of this search was recorded a moment ago."""
    try:
        seen = _views().loads(request.args.get("seen", ""), max_age=_LATE_SECONDS)
    except BadData:
        return False
    return bool(seen == _digest(filters))


def _views() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="log-view")


def _digest(filters: Filters) -> str:
    return hashlib.sha256(asker(filters.address()).encode()).hexdigest()


def _marked(search: Search) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a search's text, each with whether it is one that cannot be read."""
    at = 0
    for problem in search.problems:
        yield search.text[at : problem.start], False
        yield search.text[problem.start : problem.end], True
        at = problem.end
    yield search.text[at:], False
