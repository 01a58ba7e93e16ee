from typing import Any

from app.logstore.mongo_client import Mongo
from app.logstore.mongo_documents import LOGS
from app.logstore.mongo_occurrences import read_occurrences
from app.logstore.mongo_store import MongoStore
from app.observability.ids import id_floor
from tests.logstore.filtered import minutes
from tests.logstore.stores import put, sample
from tests.mongo_server import close_clients


def failed(fingerprint: str, minute: float) -> dict[str, Any]:
    exception = {"type": "E", "traceback": "t", "fingerprint": fingerprint}
    return sample(minutes(minute), level="ERROR", exception=exception)


def test_a_busy_exception_costs_no_more_than_a_rare_one(mongo_url: str) -> None:
    store = MongoStore(mongo_url)
    store.prepare()
    records = [failed("f" if minute else "g", minute) for minute in range(60)]
    put(store, *records)
    mongo = Mongo(mongo_url)
    database = mongo._database()
    database.command("profile", 2)
    found = read_occurrences(mongo, ["f", "g", "h"], id_floor(minutes(0)))
    database.command("profile", 0)
    assert {name: (one.first["id"], one.newest["id"]) for name, one in found.items()} == {
        "f": (records[1]["id"], records[59]["id"]), "g": (records[0]["id"], records[0]["id"]),
    }  # fmt: skip
    assert (found["f"].newest["exception"] or {})["traceback"] is None
    *ends, users = database["system.profile"].find({"command.aggregate": LOGS}).sort("ts", 1)
    assert len(ends) == 2
    assert all(one["keysExamined"] < 10 for one in ends)
    assert [one["docsExamined"] for one in (*ends, users)] == [0, 0, 0]
    close_clients(mongo)
    close_clients(store)
