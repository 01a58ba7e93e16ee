"""What the whole application adds to a request, against what the plain recipe adds.

Processor time of the application alone: it is called as a server calls it, without one. The
client asks for no compression, which is no part of what the recipe does.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from statistics import median

from flask import Flask

from app.extensions import db
from app.models.item import Item
from bench import page, recipe
from bench.rounds import Opponent, Work, in_turns
from bench.table import Row

AT_MOST = 0.5
SECRET_KEY = "a-key-for-benchmarks-that-is-long-enough-0123456789"


def run(*, quick: bool) -> list[Row]:
    """Compare added processor time, and show what a change's outbox row costs."""
    opponents = (
        Opponent("bare Flask", bare),
        Opponent("plain recipe", plain_recipe),
        Opponent("glasshouse", whole_application),
    )
    # Many short ones: within a tenth of a second the machine stays as it is, mostly.
    amount, rounds = (50, 61) if quick else (100, 201)
    found = [[1e6 * one for one in took] for took in in_turns(opponents, amount, rounds)]
    return [*_of_a_read(*found), _of_the_outbox(quick=quick)]


def _of_a_read(
    nothing: Sequence[float], theirs: Sequence[float], ours: Sequence[float]
) -> list[Row]:
    rounds = range(len(nothing))
    middle = _ratio(nothing, theirs, ours, rounds)
    # What is added is a small difference, and of a single round mostly noise: the spread is what
    # 95 of 100 draws of as many rounds give.
    draw = partial(Random(1).choices, rounds, k=len(rounds))
    drawn = sorted(_ratio(nothing, theirs, ours, draw()) for _ in range(1000))
    base = median(nothing)
    return [
        Row("a request, bare Flask", "", f"{base:,.0f} µs"),
        Row(
            "added to a request", f"{median(ours) - base:,.0f} µs",
            f"plain recipe: {median(theirs) - base:,.0f} µs",
            f"{middle:.2f} ({drawn[25]:.2f}–{drawn[-26]:.2f})",  # noqa: RUF001
            f"≤ {AT_MOST}", middle <= AT_MOST,
        ),
    ]  # fmt: skip


def _ratio(
    nothing: Sequence[float], theirs: Sequence[float], ours: Sequence[float], rounds: Sequence[int]
) -> float:
    """Return what is added by us against what is added by them, of the medians of some rounds."""
    base, recipe, whole = (median(one[n] for n in rounds) for one in (nothing, theirs, ours))
    return (whole - base) / (recipe - base)


def _of_the_outbox(*, quick: bool) -> Row:
    opponents = (Opponent("with", change_with_outbox), Opponent("without", change_without_outbox))
    amount, rounds = (50, 41) if quick else (50, 151)
    took = in_turns(opponents, amount, rounds)
    both, alone = ([1e6 * one for one in found] for found in took)
    row = median(one - other for one, other in zip(both, alone, strict=True))
    return Row(
        "a change's outbox row", f"{row:,.0f} µs",
        f"the change, its commit and its line: {median(alone):,.0f} µs",
    )  # fmt: skip


def bare(folder: Path) -> Work:
    """Serve the page with Flask and Flask-SQLAlchemy alone."""
    return page.visits(_flask(folder))


def plain_recipe(folder: Path) -> Work:
    """Serve it with the recipe."""
    _redirect_console(folder)
    app = _flask(folder)
    recipe.init_app(app, folder)
    return page.visits(app)


def whole_application(folder: Path) -> Work:
    """Serve it within this project's application, with everything that has."""
    return page.visits(application(folder))


def change_with_outbox(folder: Path) -> Work:
    """Change an item as services do: its record is committed with it."""
    from app.observability.operations import operation

    def change(item: Item, number: int) -> None:
        with operation("item_update", target_type="item", target_id=item.id):
            item.quantity = number

    return _changes(application(folder), change)


def change_without_outbox(folder: Path) -> Work:
    """Change an item and say so afterwards, as most applications do."""
    from app.observability.events import record_event

    def change(item: Item, number: int) -> None:
        target, item.quantity = item.id, number
        db.session.commit()
        record_event(
            "item_update", "item_update", target_type="item", target_id=target, outcome="success",
            duration_ms=1.5,
        )  # fmt: skip

    return _changes(application(folder), change)


def _changes(app: Flask, change: Callable[[Item, int], None]) -> Work:
    def work(amount: int) -> None:
        for number in range(amount):
            with app.app_context():
                change(db.session.get_one(Item, 1), number)

    return work


def application(folder: Path) -> Flask:
    """Return this project's application as in production, with the page."""
    from app import create_app

    _redirect_console(folder)
    app = create_app({
        "APP_ENV": "production",
        "SECRET_KEY": SECRET_KEY,
        # Its work is no request's, and it takes turns with nobody.
        "SCHEDULER_ENABLED": False,
        "DATABASE_URL": page.database_url(folder),
        "LOG_DIR": str(folder / "logs"),
        "UPLOAD_FOLDER": str(folder / "uploads"),
    })  # fmt: skip
    app.register_blueprint(page.bp)
    page.fill(app)
    return app


def _flask(folder: Path) -> Flask:
    app = Flask("bench", instance_path=str(folder))
    # With sessions, as every application has that anybody logs in to.
    app.config |= {
        "SECRET_KEY": SECRET_KEY, "SQLALCHEMY_DATABASE_URI": page.database_url(folder)
    }  # fmt: skip
    db.init_app(app)
    app.register_blueprint(page.bp)
    page.fill(app)
    return app


def _redirect_console(folder: Path) -> None:
    """Let console handlers write into a file, each line at once, as a server's console does."""
    sys.stderr = (folder / "console").open("w", buffering=1)
