"""Pages that fail or are slow on purpose; they do not exist in production."""

from typing import Any

from flask import Blueprint, Flask, render_template

from app.services import demo_service

bp = Blueprint("demo", __name__, url_prefix="/demo")


def init_app(app: Flask) -> None:
    """Serve /demo outside production."""
    if app.config["APP_ENV"] != "production":
        app.register_blueprint(bp)


@bp.get("")
def index() -> str:
    """Name the things that go wrong."""
    return render_template("demo/index.html")


@bp.get("/error")
def error() -> dict[str, Any]:
    """Fail with an exception that nothing expects."""
    return {"average": demo_service.average_debt()}


@bp.get("/slow")
def slow() -> str:
    """Take longer than SLOW_QUERY_MS."""
    seconds = demo_service.run_slow_statement()
    return render_template("demo/slow.html", seconds=seconds)


@bp.get("/n-plus-one")
def n_plus_one() -> str:
    """Ask the database once for each row."""
    rows = demo_service.owners_one_by_one()
    return render_template("demo/n_plus_one.html", rows=rows)
