"""The open tail of the log: what came since the last look, as rows for the page and as JSON."""

from flask import Response, jsonify, render_template, request
from flask.typing import ResponseReturnValue

from app.blueprints.admin import api, filters
from app.blueprints.admin.blueprint import asker, bp, viewed
from app.blueprints.admin.filters import Filters
from app.models.types import utc_now
from app.services.log_tail import News, follow


@bp.get("/logs/tail")
def log_tail() -> ResponseReturnValue:
    """Return the rows that came since the `cursor` of the last answer; 204 when nothing did."""
    asked = filters.parse(request.args, utc_now())
    if asked.errors:
        return {"errors": dict(asked.errors)}, 400
    news = _news(asked, "tail")
    return _answer(news, rows=render_template("admin/_rows.html", records=news.records))


@api.bp.get("/tail", endpoint="log_tail")
def api_tail() -> ResponseReturnValue:
    """Return the records that were stored since the `cursor` of the last answer."""
    news = _news(api.asked(), "api tail")
    return _answer(news, records=news.records)


def _news(asked: Filters, page: str) -> News:
    news = follow(asked.query, request.args.get("cursor"), asker(asked.address()))
    if news.begun:
        viewed(page, filters=asked.audit())
    return news


def _answer(news: News, **content: object) -> Response:
    if news.cursor is None:
        response = Response(status=204)
    else:
        response = jsonify(
            cursor=news.cursor, begun=news.begun, count=len(news.records), skipped=news.skipped,
            more=news.more, **content,
        )  # fmt: skip
    response.headers["Cache-Control"] = "no-store"
    return response
