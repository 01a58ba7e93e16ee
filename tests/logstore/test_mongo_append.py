import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo.errors import OperationFailure

from app.logstore.contract import LogQuery, StoreUnavailable
from app.logstore.mongo_append import MongoAppender
from app.logstore.mongo_store import MongoStore
from tests.logstore.stores import SOURCE, everything, open_store, put, sample


@pytest.fixture
def store(mongo_url: str) -> Iterator[MongoStore]:
    with open_store(mongo_url) as opened:
        yield opened


def refuse(store: MongoStore, pattern: str) -> None:
    """Have the database itself refuse documents: what no normaliser can foresee."""
    validator = {"message": {"$not": {"$regex": pattern}}}
    store._mongo._database().command("collMod", "logs", validator=validator)


def test_one_record_that_the_store_refuses_is_stored_encoded_and_stops_nothing(
    store: MongoStore,
) -> None:
    refuse(store, "^poison")
    raws = [sample(message="poison" if index in {0, 41} else str(index)) for index in range(100)]
    assert sorted(put(store, *raws)) == sorted(raw["id"] for raw in raws)
    assert store.refused == {"encoded": 2, "refused": 0}
    stored = everything(store)
    assert [one["seq"] for one in stored] == list(range(1, 101))
    inside = json.loads(base64.b64decode(stored[41]["details"]["encoded"]))
    assert (stored[41]["id"], inside["message"]) == (raws[41]["id"], "poison")
    # Again, as after a lost answer: still once each.
    assert put(store, *raws) == []


def test_a_record_that_is_refused_in_every_form_is_counted_and_stops_nothing(
    store: MongoStore,
) -> None:
    refuse(store, "^poison|encoded$")
    put(store, sample(message="poison"), sample(message="sound"))
    assert [one["message"] for one in everything(store)] == ["sound"]
    assert store.refused == {"encoded": 0, "refused": 1}
    assert store.checkpoints(SOURCE)[0].next_seq == 3


def test_a_record_too_large_for_a_document_is_stored_encoded(store: MongoStore) -> None:
    large = {str(index): "x" * 1_000_000 for index in range(17)}
    put(store, sample(details=large), sample(message="sound"))
    assert store.refused == {"encoded": 1, "refused": 0}
    assert [one["level"] for one in everything(store)] == ["WARNING", "INFO"]


def test_a_batch_that_fails_for_another_reason_than_its_data_is_undone_as_a_whole(
    store: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = MongoAppender._keep

    def keep_and_fail(*args: Any) -> None:
        keep(*args)
        raise OperationFailure("interrupted", 11601)

    monkeypatch.setattr(MongoAppender, "_keep", keep_and_fail)
    with pytest.raises(StoreUnavailable, match="interrupted"):
        put(store, sample())
    assert store.page(LogQuery()).records == []
    assert store.checkpoints(SOURCE) == []
