import os
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.blueprints.items.routes import bp
from app.extensions import db
from app.models.item import Item
from app.services import item_list
from tests.helpers import Account, log_lines, login
from tests.services.pictures import picture

LAMP = {"name": "Lamp", "category": "Light", "quantity": "3", "description": "Warm"}


class Page(HTMLParser):
    """Read a page: fields by name, links by text, texts by class, all words."""

    VOID = {"input", "meta", "link", "img", "br"}

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.invalid: set[str] = set()
        self.links: dict[str, str] = {}
        self.images: list[str] = []
        self.classes: dict[str, list[str]] = {}
        self._open: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(answer.get_data(as_text=True))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        if tag in ("input", "textarea", "select") and "name" in values:
            self.fields[values["name"]] = values.get("value", "")
            if "aria-invalid" in values:
                self.invalid.add(values["name"])
        if tag == "img":
            self.images.append(values["src"])
        if tag not in self.VOID:
            self._open.append((tag, values))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        for tag, values in self._open:
            if tag == "a" and text:
                self.links[text] = values.get("href", "")
            for name in values.get("class", "").split():
                if text:
                    self.classes.setdefault(name, []).append(text)
        if self._open and self._open[-1][0] == "textarea":
            # The line break behind the start tag is not part of the text.
            self.fields[self._open[-1][1]["name"]] = data.removeprefix("\r\n").removeprefix("\n")
        self.words.append(text)


@pytest.fixture
def signed_in(client: FlaskClient, user: Account) -> FlaskClient:
    login(client, user)
    return client


def send(client: FlaskClient, path: str, **fields: Any) -> Any:
    return client.post(path, data=fields, content_type="multipart/form-data")


def rows(app: Flask) -> list[dict[str, Any]]:
    with app.app_context():
        return [dict(row) for row in db.session.execute(select(Item.__table__)).mappings()]


def upload(stream: BytesIO | None = None) -> tuple[BytesIO, str]:
    return (stream or picture(), "../../photo of me.png")


def test_the_start_page_is_the_list(client: FlaskClient) -> None:
    assert client.get("/").location == "/items"


def test_an_empty_list_says_what_to_do(client: FlaskClient) -> None:
    page = Page(client.get("/items"))
    assert "No items yet" in page.words
    assert page.links["Create an item"] == "/items/new"


def test_a_person_creates_sees_changes_and_deletes_an_item(
    signed_in: FlaskClient, app: Flask
) -> None:
    made = send(signed_in, "/items/new", **LAMP, image=upload())
    assert (made.status_code, made.location) == (302, "/items/1")
    shown = Page(signed_in.get("/items/1"))
    assert shown.classes["alert"] == ["The item was created."]
    assert shown.classes["item-category"] == ["Light"]
    assert shown.classes["item-stock"] == ["3", "in stock"]
    assert shown.images[-1].startswith("/items/1/image?v=")
    assert shown.links["Edit"] == "/items/1/edit"

    form = Page(signed_in.get("/items/1/edit"))
    assert {key: form.fields[key] for key in LAMP} == LAMP
    assert form.fields["version"] == "1"
    values = {**LAMP, "name": "Big lamp", "version": "1", "without_image": "y"}
    assert send(signed_in, "/items/1/edit", **values).location == "/items/1"
    (row,) = rows(app)
    assert (row["name"], row["image"], row["version"]) == ("Big lamp", None, 2)

    assert send(signed_in, "/items/1/delete").location == "/items"
    assert rows(app) == []
    assert os.listdir(app.config["UPLOAD_FOLDER"]) == []


BAD_FIELDS = [
    ("name", ""), ("name", "x" * 121), ("name", "a\x00b"), ("category", "x" * 61),
    ("quantity", ""), ("quantity", "-1"), ("quantity", "2147483648"), ("quantity", "9" * 400),
    ("quantity", "three"), ("quantity", "1.5"), ("description", "x" * 4001),
]  # fmt: skip


@pytest.mark.parametrize("path", ["/items/new", "/items/1/edit"])
def test_a_bad_field_is_named_and_nothing_is_changed_or_lost(
    signed_in: FlaskClient, app: Flask, path: str
) -> None:
    send(signed_in, "/items/new", **LAMP)
    before = rows(app)
    for field, value in BAD_FIELDS:
        sent = {**LAMP, "description": "My own words", field: value}
        answer = send(signed_in, path, **sent, version="1")
        page = Page(answer)
        assert (answer.status_code, page.invalid) == (422, {field})
        assert page.classes["invalid-feedback"]
        # A page cannot show a NUL; every other text comes back as it was typed.
        kept = {key: page.fields[key] for key in sent if "\x00" not in sent[key]}
        assert kept == {key: sent[key] for key in kept}
    assert rows(app) == before


def test_a_form_without_its_fields_or_its_version_changes_nothing(
    signed_in: FlaskClient, app: Flask
) -> None:
    assert send(signed_in, "/items/new").status_code == 422
    send(signed_in, "/items/new", **LAMP)
    before = rows(app)
    for version in ({}, {"version": ""}, {"version": "x"}, {"version": "-1"}):
        answer = send(signed_in, "/items/1/edit", **{**LAMP, "name": "New"}, **version)
        assert answer.status_code == 422
        page = Page(answer)
        assert (page.fields["name"], page.fields["version"]) == ("New", version.get("version", ""))
    assert rows(app) == before


def test_a_bad_picture_is_refused_and_the_rest_is_kept(signed_in: FlaskClient, app: Flask) -> None:
    answer = send(signed_in, "/items/new", **LAMP, image=upload(BytesIO(b"<script>")))
    page = Page(answer)
    assert (answer.status_code, page.invalid) == (422, {"image"})
    assert {key: page.fields[key] for key in LAMP} == LAMP
    assert rows(app) == []


@pytest.mark.settings(UPLOAD_MAX_BYTES=2048)
def test_a_picture_over_the_limit_is_refused_with_the_form_and_far_over_it_with_413(
    signed_in: FlaskClient, app: Flask
) -> None:
    answer = send(signed_in, "/items/new", **LAMP, image=upload(BytesIO(b"x" * 3000)))
    assert (answer.status_code, Page(answer).invalid) == (422, {"image"})
    answer = send(signed_in, "/items/new", **LAMP, image=upload(BytesIO(b"x" * 200_000)))
    assert answer.status_code == 413
    assert rows(app) == []


def test_a_stale_form_shows_both_sides_and_a_second_save_is_meant(
    signed_in: FlaskClient, app: Flask
) -> None:
    send(signed_in, "/items/new", **LAMP)
    send(signed_in, "/items/1/edit", **{**LAMP, "name": "Theirs"}, version="1")
    mine = {**LAMP, "name": "Mine", "description": "My own words"}
    answer = send(signed_in, "/items/1/edit", **mine, version="1")
    page = Page(answer)
    assert answer.status_code == 409
    assert page.classes["alert"][-1].startswith("This item was changed")
    assert {key: page.fields[key] for key in mine} == mine
    assert page.classes["theirs"][1:5] == ["Name", "Theirs", "Description", "Warm"]
    assert [row["name"] for row in rows(app)] == ["Theirs"]

    again = {key: page.fields[key] for key in (*LAMP, "version")}
    assert send(signed_in, "/items/1/edit", **again).status_code == 302
    assert [row["name"] for row in rows(app)] == ["Mine"]


def test_a_stale_form_names_no_field_that_only_line_ends_and_spaces_tell_apart(
    signed_in: FlaskClient,
) -> None:
    words = {**LAMP, "description": "One\r\ntwo "}
    send(signed_in, "/items/new", **words)
    send(signed_in, "/items/1/edit", **{**words, "name": "Theirs"}, version="1")
    page = Page(send(signed_in, "/items/1/edit", **{**words, "name": " Mine"}, version="1"))
    assert page.classes["theirs"][1:-1] == ["Name", "Theirs"]


def test_a_stranger_reads_and_is_sent_to_log_in_before_a_change(
    signed_in: FlaskClient, app: Flask
) -> None:
    send(signed_in, "/items/new", **LAMP)
    stranger = app.test_client()
    assert stranger.get("/items").status_code == 200
    assert "Edit" not in Page(stranger.get("/items/1")).links
    for method, path in (("GET", "/items/new"), ("POST", "/items/new"), ("GET", "/items/1/edit"),
                         ("POST", "/items/1/edit"), ("POST", "/items/1/delete")):  # fmt: skip
        answer = stranger.open(path, method=method, data=LAMP if method == "POST" else None)
        assert answer.status_code == 302
        assert answer.location.startswith("/auth/login")
    assert len(rows(app)) == 1


def test_somebody_elses_item_has_no_buttons_and_refuses_every_change(
    signed_in: FlaskClient, app: Flask, other_user: Account
) -> None:
    send(signed_in, "/items/new", **LAMP)
    before, other = rows(app), app.test_client()
    login(other, other_user)
    assert "Edit" not in Page(other.get("/items/1")).links
    assert other.get("/items/1/edit").status_code == 403
    assert send(other, "/items/1/edit", **LAMP, version="1").status_code == 403
    assert send(other, "/items/1/delete").status_code == 403
    assert rows(app) == before


@pytest.mark.settings(WTF_CSRF_ENABLED=True)
def test_a_form_without_the_token_is_refused(client: FlaskClient) -> None:
    assert send(client, "/items/1/delete").status_code == 400
    assert send(client, "/items/new", **LAMP).status_code == 400


def test_pages_search_and_order_stay_in_the_addresses(signed_in: FlaskClient) -> None:
    for number in range(item_list.PAGE_SIZE + 5):
        send(signed_in, "/items/new", name=f"Item {number:02}", quantity=str(number))
    first = Page(signed_in.get("/items?q=item&sort=name"))
    assert first.classes["item-name"][0] == "Item 00"
    assert len(first.classes["item-name"]) == item_list.PAGE_SIZE
    assert "← Previous" not in first.links
    second = Page(signed_in.get(first.links["Next →"]))
    assert second.classes["item-name"] == [f"Item {number}" for number in range(25, 30)]
    assert "Next →" not in second.links
    back = Page(signed_in.get(second.links["← Previous"]))
    assert back.classes["item-name"] == first.classes["item-name"]
    assert (back.fields["q"], "sort=name" in second.links["← Previous"]) == ("item", True)


def test_a_search_without_a_result_says_so(signed_in: FlaskClient) -> None:
    send(signed_in, "/items/new", **LAMP)
    page = Page(signed_in.get("/items?q=%3Cscript%3E"))
    assert page.classes["empty"][0] == "Nothing found"
    assert "<script>" in page.classes["empty"][1]


def test_a_search_that_ran_out_of_time_offers_to_go_on(
    signed_in: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_list, "SLICE", 1)
    monkeypatch.setattr(item_list, "SEARCH_SECONDS", 0)
    for name in ("needle", "straw"):
        send(signed_in, "/items/new", name=name)
    page = Page(signed_in.get("/items?q=needle"))
    assert page.classes["empty"][0] == "Nothing found so far"
    assert Page(signed_in.get(page.links["Search on"])).classes["item-name"] == ["needle"]


@pytest.mark.parametrize("query", ["sort=owner", "after=x", "before=%00", "q=" + "x" * 201])
def test_a_damaged_address_is_refused_with_a_page(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/items?{query}")
    assert answer.status_code == 422
    assert Page(answer).classes["error-list"][0] == query.partition("=")[0]


def test_what_people_type_is_never_markup(signed_in: FlaskClient) -> None:
    evil = '"><script>alert(1)</script>'
    send(signed_in, "/items/new", name=evil, category=evil, quantity="1", description=evil)
    for path in ("/items", "/items/1", "/items/1/edit", f"/items?q={evil}"):
        text = signed_in.get(path).get_data(as_text=True)
        assert "<script>alert" not in text
        assert evil in " ".join(Page(signed_in.get(path)).words) or path.endswith("edit")


def test_a_picture_is_served_as_a_picture_and_nothing_else(
    signed_in: FlaskClient, app: Flask
) -> None:
    send(signed_in, "/items/new", **LAMP, image=upload())
    (address,) = [src for src in Page(signed_in.get("/items/1")).images if "image" in src]
    answer = app.test_client().get(address)
    assert answer.content_type == "image/webp"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    (thumbnail,) = [src for src in Page(signed_in.get("/items")).images if "image" in src]
    assert len(app.test_client().get(thumbnail).data) <= len(answer.data)
    # An address without the picture's own name must ask again each time.
    assert "immutable" not in app.test_client().get("/items/1/image").headers["Cache-Control"]


def test_a_picture_that_is_not_there_is_not_found(signed_in: FlaskClient, app: Flask) -> None:
    send(signed_in, "/items/new", **LAMP)
    for number in ("1", "2", "9" * 30):
        assert signed_in.get(f"/items/{number}/image").status_code == 404
    send(signed_in, "/items/new", **LAMP, image=upload())
    for file in Path(app.config["UPLOAD_FOLDER"]).iterdir():
        file.unlink()
    assert signed_in.get("/items/2/image").status_code == 404
    assert signed_in.get("/items/2").status_code == 200
    assert log_lines(app, "error") == []


def test_every_page_names_itself_and_marks_its_place(client: FlaskClient) -> None:
    assert bp.name == "items"
    page = client.get("/items").get_data(as_text=True)
    assert "<title>Items · Glasshouse</title>" in page
    assert 'href="/items" aria-current="page"' in page
