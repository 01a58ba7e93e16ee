from collections import Counter
from pathlib import Path

from app.logstore.contract import LogQuery, StoreUnavailable
from app.logstore.mongo_store import MongoStore
from app.logstore.shipper import Shipper
from tests.helpers import wait_for
from tests.logstore.stores import everything, open_store, sample, write_lines
from tests.mongo_server import MongoServer


def test_it_has_its_indexes_after_the_first_pass_of_the_shipper(
    mongo_url: str, tmp_path: Path
) -> None:
    with open_store(mongo_url, ready=False) as store:
        Shipper(store, tmp_path).ship_once()
        assert set(store._mongo.collection("logs").index_information()) == {
            "_id_", "request_id_1__id_1", "rare_action_1__id_1", "rare_level_1__id_1",
            "user_id_1__id_1", "exception_fingerprint_1__id_1_user_id_1", "source_1_seq_1",
            "keep_1__id_1",
        }  # fmt: skip


def test_a_server_that_is_stopped_and_started_again_loses_and_doubles_nothing(
    mongo_server: MongoServer, mongo_url: str, tmp_path: Path
) -> None:
    said: list[str] = []

    def say(count: int) -> None:
        records = [sample(message=f"m{len(said) + index}") for index in range(count)]
        said.extend(one["message"] for one in records)
        write_lines(tmp_path / "app.log", *records)

    with open_store(f"{mongo_url}?serverSelectionTimeoutMS=300", ready=False) as store:
        shipper = Shipper(store, tmp_path)

        def shipped() -> bool:
            try:
                return not shipper.ship_once()
            except StoreUnavailable:
                return False

        say(500)
        wait_for(shipped, 60)
        mongo_server.stop()
        try:
            say(500)
            assert not shipped()
        finally:
            mongo_server.start()
        say(500)
        wait_for(shipped, 60)
        assert Counter(one["message"] for one in everything(store)) == Counter(said)


def test_a_store_that_nothing_was_put_into_answers(mongo_url: str) -> None:
    with open_store(mongo_url, ready=False) as store:
        assert isinstance(store, MongoStore)
        assert store.page(LogQuery()).records == []
        assert store.after(LogQuery())[0] == []
        assert store.checkpoints("s") == []
        store.forget("s", "a")
