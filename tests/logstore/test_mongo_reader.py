from typing import Any

from app.logstore.contract import LogQuery
from app.logstore.mongo_client import Mongo
from app.logstore.mongo_reader import MongoReader
from app.logstore.mongo_store import MongoStore
from tests.logstore.stores import put, sample
from tests.mongo_server import close_clients


class Watched(Mongo):
    """Keep the plan of each question."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.plans: list[Any] = []

    def collection(self, name: str) -> Any:
        collection = super().collection(name)
        find = collection.find

        def found(*args: Any) -> Any:
            cursor = find(*args)
            self.plans.append(cursor.clone().sort("_id", -1).limit(50).explain())
            return cursor

        collection.find = found  # type: ignore[method-assign]
        return collection


def test_what_is_rare_is_found_through_its_index_in_order(mongo_url: str) -> None:
    store = MongoStore(mongo_url)
    store.prepare()
    put(store, *(sample() for _ in range(200)), sample(level="ERROR", action="login", user_id="7"))
    mongo = Watched(mongo_url)
    for query, index in (
        (LogQuery(levels=("ERROR", "CRITICAL")), "rare_level_1__id_1"),
        (LogQuery(actions=("login", "logout")), "rare_action_1__id_1"),
        (LogQuery(user_id="7"), "user_id_1__id_1"),
        (LogQuery(request_id="r"), "request_id_1__id_1"),
        (LogQuery(status_min=401, status_max=401), "rare_status_1__id_1"),
        (LogQuery(status_min=500, status_max=599), "failed_1__id_1"),
        (LogQuery(equal=(("parent_request_id", "r"),)), "parent_request_id_1__id_1"),
        (LogQuery(fingerprint="f"), "exception_fingerprint_1__id_1_user_id_1"),
        (LogQuery(texts=("nothing",)), "_id_"),
    ):
        MongoReader(mongo, query).rows("f" * 36, None, 50)
        plan = str(mongo.plans.pop()["queryPlanner"]["winningPlan"])
        assert repr(index) in plan, query
        # Sorting in memory would take as long as there are records.
        assert "'SORT'" not in plan, query
    close_clients(store)
    close_clients(mongo)
