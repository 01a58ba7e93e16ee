import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.extensions import db
from app.models.item import Item
from app.models.outbox import OutboxRecord
from app.models.user import ADMIN, User
from app.services import item_service
from app.services.errors import Conflict, Forbidden, Invalid, NotFound
from app.services.item_service import (
    create_item,
    delete_item,
    get_image,
    get_item,
    may_change,
    update_item,
)
from app.services.uploads import small_name
from tests.helpers import log_lines
from tests.services.pictures import picture

LAMP = {"name": "Lamp", "category": "Light", "quantity": 3, "description": "Warm"}


@pytest.fixture
def shop(make_app: Callable[..., Flask], database_url: str) -> Iterator[Flask]:
    app = make_app(DATABASE_URL=database_url)
    with app.app_context():
        for email, role in (("owner", "user"), ("other", "user"), ("admin", ADMIN)):
            user = User(email=f"{email}@example.com", name=email, password_hash="x", role=role)
            db.session.add(user)
        db.session.commit()
        yield app


def account(name: str) -> User:
    return db.session.scalars(select(User).filter_by(name=name)).one()


def files(app: Flask) -> set[str]:
    folder = Path(app.config["UPLOAD_FOLDER"])
    return set(os.listdir(folder)) if folder.exists() else set()


def stored_files(name: str | None) -> set[str]:
    return {name, small_name(name)} if name else set()


def outcomes(app: Flask, action: str) -> list[tuple[str | None, str | None]]:
    return [(one["outcome"], one.get("target_id")) for one in log_lines(app, action)]


def count(model: type) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_a_new_item_belongs_to_its_maker_and_is_recorded_once(shop: Flask) -> None:
    item = create_item(account("owner"), LAMP)
    assert {key: getattr(item, key) for key in LAMP} == LAMP
    assert get_item(item.id).owner.name == "owner"
    assert outcomes(shop, "item_create") == [("success", str(item.id))]
    assert count(OutboxRecord) == 1


def test_an_item_with_a_picture_is_two_records_and_one_transaction(shop: Flask) -> None:
    item = create_item(account("owner"), LAMP, picture())
    assert files(shop) == stored_files(item.image)
    assert get_image(item.id) == item.image
    assert outcomes(shop, "upload") == outcomes(shop, "item_create") == [("success", str(item.id))]
    assert count(OutboxRecord) == 2


@pytest.mark.parametrize(
    ("values", "image", "field"),
    [({"name": ""}, None, "name"), (LAMP, b"no picture", "image"), ({}, None, "name")],
)
def test_a_refused_item_leaves_nothing_but_its_record(
    shop: Flask, values: dict[str, object], image: bytes | None, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        create_item(account("owner"), values, BytesIO(image) if image else None)
    assert set(refused.value.errors) == {field}
    assert (count(Item), count(OutboxRecord), files(shop)) == (0, 0, set())
    assert outcomes(shop, "item_create") == [("refused", None)]


def test_a_change_touches_only_the_fields_it_names(shop: Flask) -> None:
    item = create_item(account("owner"), LAMP)
    changed = update_item(account("owner"), item.id, {"quantity": 9, "name": "Lamp"}, item.version)
    assert (changed.quantity, changed.category, changed.version) == (9, "Light", 2)
    (record,) = log_lines(shop, "item_update")
    assert record["details"]["changed"] == ["quantity"]


def test_a_new_picture_replaces_the_old_and_its_files(shop: Flask) -> None:
    owner = account("owner")
    item = create_item(owner, LAMP, picture("red"))
    old = item.image
    item = update_item(owner, item.id, {}, item.version, image=picture("blue"))
    assert item.image != old
    assert files(shop) == stored_files(item.image)
    item = update_item(owner, item.id, {}, item.version, without_image=True)
    assert (item.image, files(shop)) == (None, set())


def test_a_change_that_fails_keeps_the_old_picture_and_drops_the_new(
    shop: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = account("owner")
    item = create_item(owner, LAMP, picture())
    item_id, image, version = item.id, item.image, item.version

    def fail() -> None:
        raise RuntimeError("the database went away")

    monkeypatch.setattr(item_service, "_flush", fail)
    with pytest.raises(RuntimeError):
        update_item(owner, item_id, {"name": "New"}, version, image=picture())
    with pytest.raises(RuntimeError):
        delete_item(owner, item_id)
    assert (get_item(item_id).name, get_item(item_id).image) == ("Lamp", image)
    assert files(shop) == stored_files(image)
    assert outcomes(shop, "item_update") == [("failed", str(item_id))]


@pytest.mark.parametrize("version", [1, 3, 99])
def test_a_stale_copy_is_refused_and_changes_nothing(shop: Flask, version: int) -> None:
    owner = account("owner")
    item = create_item(owner, LAMP)
    update_item(owner, item.id, {"quantity": 5}, 1)
    with pytest.raises(Conflict):
        update_item(owner, item.id, {"name": "Mine"}, version)
    assert (get_item(item.id).name, get_item(item.id).quantity) == ("Lamp", 5)
    assert outcomes(shop, "item_update")[-1] == ("refused", str(item.id))


def test_of_changes_made_at_the_same_time_exactly_one_wins(shop: Flask) -> None:
    item_id = create_item(account("owner"), LAMP).id
    start = threading.Barrier(4)
    results: list[str] = []

    def change(number: int) -> None:
        with shop.app_context():
            owner = account("owner")
            start.wait()
            try:
                update_item(owner, item_id, {"name": f"by {number}"}, 1)
                results.append("won")
            except Conflict:
                results.append("refused")

    threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(results) == {"won": 1, "refused": 3}
    db.session.expire_all()
    assert get_item(item_id).version == 2


def test_deleting_takes_the_picture_along(shop: Flask) -> None:
    item_id = create_item(account("owner"), LAMP, picture()).id
    delete_item(account("owner"), item_id)
    assert (count(Item), files(shop)) == (0, set())
    (record,) = log_lines(shop, "item_delete")
    assert (record["target_id"], record["details"]["name"]) == (str(item_id), "Lamp")


@pytest.mark.parametrize(("name", "may"), [("owner", True), ("admin", True), ("other", False)])
def test_only_the_owner_and_administrators_change_an_item(
    shop: Flask, name: str, may: bool
) -> None:
    item_id = create_item(account("owner"), LAMP, picture()).id
    assert may_change(account(name), get_item(item_id)) is may
    if may:
        update_item(account(name), item_id, {"quantity": 1}, 1)
        delete_item(account(name), item_id)
        return
    for attempt in (
        lambda: update_item(account(name), item_id, {"quantity": 1}, 1),
        lambda: delete_item(account(name), item_id),
    ):
        with pytest.raises(Forbidden):
            attempt()
    assert (get_item(item_id).quantity, files(shop)) == (3, stored_files(get_image(item_id)))


@pytest.mark.parametrize("item_id", [0, -1, 12345, 2**31, 2**63, 10**30])
def test_an_item_that_does_not_exist_is_not_found(shop: Flask, item_id: int) -> None:
    for attempt in (
        lambda: get_item(item_id),
        lambda: get_image(item_id),
        lambda: update_item(account("owner"), item_id, {}, 1),
        lambda: delete_item(account("owner"), item_id),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert [one["outcome"] for one in log_lines(shop, "item_delete")] == ["refused"]
