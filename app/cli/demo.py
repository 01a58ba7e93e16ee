"""Commands that fill a fresh installation: `flask demo seed` and `flask demo traffic`."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.exc import OperationalError, ProgrammingError

from app.cli.demo_traffic import Traffic, Unreachable
from app.extensions import db
from app.models.item import Item
from app.models.user import ADMIN, User
from app.services import item_service, user_service
from app.services.errors import ServiceError

VISITOR = "demo@example.com"
# Name, category, quantity, description.
ITEMS: tuple[tuple[str, str, int, str], ...] = (
    ("Desk lamp", "Lighting", 14, "Warm white, dimmable, with a clamp."),
    ("LED bulb E27", "Lighting", 240, "9 watts, as bright as 60 watts once were."),
    ("Office chair", "Furniture", 6, "Height, back and arms can be set."),
    ("Standing desk", "Furniture", 3, "160 by 80 cm; remembers four heights."),
    ("Bookshelf", "Furniture", 0, "Five boards of oak. Ordered, expected next week."),
    ("Keyboard", "Computers", 22, "German layout, quiet keys."),
    ("Monitor 27″", "Computers", 9, "2560 by 1440 dots, turns upright."),
    ("USB-C cable 2 m", "Computers", 131, "Carries 100 watts and 10 Gbit/s."),
    ("Whiteboard", "Office", 4, "120 by 90 cm, with magnets."),
    ("Paper A4", "Office", 85, "Recycled, 80 g/m², 500 sheets."),
    ("Coffee beans", "Kitchen", 12, "1 kg, medium roast."),
    ("Tea", "Kitchen", 31, "Earl Grey, 50 bags."),
)

demo = AppGroup("demo", help="Fill a fresh installation with something to look at.")


@demo.command("seed")
@click.option("--if-empty", is_flag=True, help="Do nothing when there is an item already.")
def seed(if_empty: bool) -> None:
    """Put in some items; they belong to the first administrator."""
    with _explained():
        if if_empty and (_in_production() or db.session.scalar(select(Item.id).limit(1))):
            return
        _refuse_production()
        owner = db.session.scalar(select(User).order_by(User.role != ADMIN, User.id).limit(1))
        if owner is None:
            raise click.ClickException(
                "There is no account yet; try: flask --app wsgi users create you@example.com "
                "--admin"
            )
        for values in ITEMS:
            fields = ("name", "category", "quantity", "description")
            item_service.create_item(owner, dict(zip(fields, values, strict=True)))
    click.echo(f"Put in {len(ITEMS)} demo items.")


@demo.command("traffic")
@click.option("--seconds", type=click.IntRange(1, 3600), default=30, show_default=True)
@click.option("--rate", type=click.IntRange(1, 50), default=5, show_default=True,
              help="Requests a second, at most.")  # fmt: skip
@click.option("--url", help="Where the application runs.  [default: this machine, PORT]")
def traffic(seconds: int, rate: int, url: str | None) -> None:
    """Visit the running application as ordinary people do, mistakes included.

    Some requests are slow, some fail, some find nothing, and a few log in wrongly. They go over
    HTTP, so that the server's own workers, metrics and log lines show them.
    """
    _refuse_production()
    url = (url or f"http://127.0.0.1:{current_app.config['PORT']}").rstrip("/")
    with _explained():
        visits = Traffic(url)
        # Before the database is touched: there may be nobody to visit.
        visits.probe()
        visits.log_in(VISITOR, _fresh_password())
        total = seconds * rate
        with click.progressbar(length=total, label=f"Visiting {url}") as bar:
            visits.run(total, rate, step=bar.update)
    _report(visits.statuses())
    click.echo(f"Read about it at {url}/admin/logs")


def _fresh_password() -> str:
    """Give the demo account a password that nobody is told; it is new in each run."""
    password = secrets.token_urlsafe(15)
    user = user_service.find_user(VISITOR)
    if user is None:
        user_service.create_user(VISITOR, password, name="Demo visitor", via="command")
    else:
        user_service.replace_password(user, password, via="command")
    return password


def _report(statuses: dict[int, int]) -> None:
    kinds: dict[str, int] = dict.fromkeys(("fine", "refused", "failed", "without an answer"), 0)
    names: dict[int, Any] = {0: "without an answer", 4: "refused", 5: "failed"}
    for status, count in statuses.items():
        kinds[names.get(status // 100, "fine")] += count
    parts = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    click.echo(f"{sum(statuses.values())} requests: {parts}.")


def _in_production() -> bool:
    return bool(current_app.config["APP_ENV"] == "production")


def _refuse_production() -> None:
    if _in_production():
        raise click.ClickException("This is production: demo data has no place among real data.")


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what can go wrong into one clear line and exit code 1."""
    try:
        yield
    except Unreachable as error:
        raise click.ClickException(
            f"Nothing that works answers at {error.url}; start it with `make run` or give --url."
        ) from None
    except ServiceError as error:
        raise click.ClickException(error.message) from None
    except (OperationalError, ProgrammingError):
        raise click.ClickException(
            "The database does not answer or has no tables yet; try: flask --app wsgi db upgrade"
        ) from None
