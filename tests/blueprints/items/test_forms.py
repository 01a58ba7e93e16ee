from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from werkzeug.datastructures import FileStorage, MultiDict

from app.blueprints.items.forms import ItemForm
from app.models.item import Item


def sent(app: Flask, **data: Any) -> ItemForm:
    with app.test_request_context(method="POST"):
        return ItemForm(MultiDict(data))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3), (" 3 ", 3), ("+3", 3), ("-3", -3), ("2147483648", 2147483648), ("", ""),
        ("three", "three"), ("1.5", "1.5"), ("1e3", "1e3"), ("٣", "٣"), ("9" * 5000, "9" * 5000),
        ("1_000", "1_000"),
    ],
)  # fmt: skip
def test_a_quantity_becomes_a_number_only_where_it_is_one(
    app: Flask, text: str, value: object
) -> None:
    assert sent(app, quantity=text).values() == {"quantity": value}


def test_only_what_was_sent_reaches_the_service(app: Flask) -> None:
    assert sent(app, name="Lamp", owner_id="1").values() == {"name": "Lamp"}
    assert sent(app).values() == {}
    assert sent(app).read_version() is None
    assert sent(app, version="7").read_version() == 7
    assert sent(app, version="x").read_version() == "x"


def test_an_item_fills_the_form(app: Flask) -> None:
    item = Item(name="Lamp", quantity=4, category="Light", description="", image="a.webp")
    with app.test_request_context():
        form = ItemForm(obj=item)
    assert (form.name.data, form.quantity.data, form.category.data) == ("Lamp", 4, "Light")
    assert form.picture() is None


def test_a_chosen_file_is_a_picture_and_an_empty_choice_is_none(app: Flask) -> None:
    file = FileStorage(BytesIO(b"x"), filename="a.png")
    assert sent(app, image=file).picture().read() == b"x"
    assert sent(app, image=FileStorage(BytesIO(b""), filename="")).picture() is None


def test_errors_stand_at_their_fields_and_the_rest_is_returned(app: Flask) -> None:
    form = sent(app, name="")
    rest = form.show({"name": "Enter a name.", "version": "Which one?", "colour": "Unknown."})
    assert form.name.errors == ["Enter a name."]
    assert rest == ["Which one?", "Unknown."]
