from app.logstore.mongo_client import Mongo
from app.logstore.mongo_documents import INDEXES, LOGS
from app.logstore.mongo_retention import delete_records, read_expired
from app.logstore.mongo_store import MongoStore
from tests.logstore.stores import put, sample
from tests.mongo_server import close_clients

LAST = "ffffffff-ffff-7fff-bfff-ffffffffffff"


def test_an_index_finds_what_is_expired_and_deletes_it(mongo_url: str) -> None:
    store, mongo = MongoStore(mongo_url), Mongo(mongo_url)
    store.prepare()
    put(store, *(sample(action="login") for _ in range(50)), sample(message="only"))
    assert len(INDEXES[LOGS]) > 1
    logs = mongo.collection(LOGS)
    wanted = {"keep": {"$eq": "info"}, "_id": {"$lt": LAST, "$gt": ""}}
    plan = logs.find(wanted).sort("_id", 1).limit(9).explain()["executionStats"]
    assert plan["totalDocsExamined"] == 1
    (found,) = read_expired(mongo, "info", LAST, None, 9)
    assert found["message"] == "only"
    assert delete_records(mongo, "info", [found["id"]]) == 1
    assert delete_records(mongo, "info", [found["id"]]) == 0
    close_clients(store)
