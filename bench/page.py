"""The page that each of the applications serves: two queries through Flask-SQLAlchemy."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, render_template
from sqlalchemy import select
from werkzeug.test import create_environ

from app.extensions import db
from app.models.item import Item
from app.models.user import User

ITEMS = 50
bp = Blueprint("bench", __name__, template_folder="templates")


@bp.get("/bench/items/<int:item_id>")
def show(item_id: int) -> str:
    item = db.session.get_one(Item, item_id)
    others = db.session.scalars(select(Item).order_by(Item.sort_name, Item.id).limit(5)).all()
    return render_template("bench/item.html", item=item, others=others)


def fill(app: Flask) -> None:
    """Make the tables, and something to show."""
    with app.app_context():
        db.create_all(None)
        owner = User(email="someone@example.com", name="Someone", password_hash="none")
        db.session.add(owner)
        db.session.flush()
        db.session.add_all(
            Item(name=f"Chair {number}", description="Blue, with arms", quantity=number,
                 owner_id=owner.id)
            for number in range(ITEMS)
        )  # fmt: skip
        db.session.commit()


def visits(app: Flask) -> Callable[[int], None]:
    """Return what asks for the page, calling the application as a server does."""
    asked = [
        create_environ(f"/bench/items/{number}", "https://shop.example.org", headers=[
            ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101"),
            ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            ("Accept-Language", "en-GB,en;q=0.5"),
        ], environ_overrides={"SERVER_SOFTWARE": "bench"})
        for number in range(1, ITEMS + 1)
    ]  # fmt: skip

    def work(amount: int) -> None:
        for number in range(amount):
            ask(app, asked[number % ITEMS])

    return work


def ask(app: Flask, environ: dict[str, Any]) -> None:
    """Send one request; only a good answer counts."""
    status: list[str] = []

    def start_response(line: str, _headers: Any, _exc_info: Any = None) -> Callable[..., None]:
        status.append(line)
        return lambda _data: None

    answer = app.wsgi_app({**environ, "wsgi.input": BytesIO()}, start_response)
    body = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    if status != ["200 OK"] or b"Chair" not in body:
        raise RuntimeError(f"{status}: {body[:500]!r}")


def database_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'app.db'}"
