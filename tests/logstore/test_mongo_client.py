import threading
from collections.abc import Iterator

import pytest
from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure, WriteConcernError

from app.logstore.contract import Checkpoint, LogQuery, StoreUnavailable
from app.logstore.mongo_client import Mongo
from app.logstore.mongo_documents import INDEXES
from app.logstore.mongo_errors import NO_REPLICA_SET
from app.logstore.mongo_store import MongoStore
from tests.logstore.stores import SOURCE, open_store, sample
from tests.mongo_server import MongoServer, close_clients


@pytest.fixture
def mongo(mongo_url: str) -> Iterator[Mongo]:
    opened = Mongo(mongo_url)
    yield opened
    close_clients(opened)


def test_nothing_connects_before_the_first_question() -> None:
    before = set(threading.enumerate())
    mongo = Mongo("mongodb://127.0.0.1:1/x")
    mongo.collection("logs")
    # Others may end meanwhile.
    assert not set(threading.enumerate()) - before


@pytest.mark.parametrize(
    ("url", "database", "patience"),
    [
        ("mongodb://h1,h2:1/shop?replicaSet=r", "shop", 3.0),
        ("mongodb://h/?serverselectiontimeoutms=9000", "glasshouse", 9.0),
    ],
)
def test_the_address_names_the_database_and_may_say_how_long_to_wait(
    url: str, database: str, patience: float
) -> None:
    mongo = Mongo(url)
    assert mongo.collection("logs").database.name == database
    options = mongo._client().options
    assert options.server_selection_timeout == patience
    assert options.pool_options.socket_timeout == 5.0


def test_each_process_has_a_client_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    mongo = Mongo("mongodb://127.0.0.1:1/x")
    before = mongo._client()
    assert mongo._client() is before
    # As in a child, which is another process.
    monkeypatch.setattr("os.getpid", lambda: 1)
    assert mongo._client() is not before


def test_what_is_read_cannot_be_undone(mongo: Mongo) -> None:
    collection = mongo.collection("logs")
    assert collection.read_concern.level == "majority"
    assert collection.write_concern.document["w"] == "majority"
    assert collection.read_preference.name == "Primary"


def test_a_transaction_that_another_one_was_in_the_way_of_is_done_again(mongo: Mongo) -> None:
    numbers = mongo.collection("numbers")
    numbers.insert_one({"_id": 1, "n": 0})
    tries: list[int] = []

    def add(session: ClientSession) -> None:
        tries.append(1)
        found = numbers.find_one({"_id": 1}, session=session)
        if len(tries) < 3:
            # Somebody else is faster.
            numbers.update_one({"_id": 1}, {"$inc": {"n": 10}})
        assert found is not None
        numbers.update_one({"_id": 1}, {"$set": {"n": found["n"] + 1}}, session=session)

    mongo.transaction(add)
    assert (numbers.find_one({"_id": 1}), len(tries)) == ({"_id": 1, "n": 21}, 3)


def test_the_transaction_of_a_process_that_was_killed_is_ended(mongo: Mongo) -> None:
    numbers = mongo.collection("numbers")
    numbers.insert_one({"_id": 1, "n": 0})
    killed = Mongo(mongo._url)
    with killed._client().start_session() as session:
        session.start_transaction()
        killed.collection("numbers").update_one({"_id": 1}, {"$set": {"n": 1}}, session=session)

        mongo.transaction(
            lambda session: numbers.update_one({"_id": 1}, {"$set": {"n": 2}}, session=session)
        )
        with pytest.raises(OperationFailure, match="aborted"):
            session.commit_transaction()
    assert numbers.find_one({}) == {"_id": 1, "n": 2}
    close_clients(killed)


@pytest.mark.parametrize("times", [1, 2])
def test_indexes_are_made_even_when_another_member_becomes_primary_meanwhile(
    times: int, mongo_url: str, mongo_server: MongoServer
) -> None:
    # Here the primary stays what it is, which its next heartbeat has to tell.
    mongo = Mongo(f"{mongo_url}?heartbeatFrequencyMS=500")
    interrupted = {"code": 11602, "errmsg": "operation was interrupted"}
    fail = {"failCommands": ["createIndexes"], "writeConcernError": interrupted}
    mongo_server.command("configureFailPoint", "failCommand", mode={"times": times}, data=fail)
    try:
        if times > 1:
            with pytest.raises(WriteConcernError, match="interrupted"):
                mongo.prepare(INDEXES)
        else:
            mongo.prepare(INDEXES)
            assert set(INDEXES) <= set(mongo._database().list_collection_names())
    finally:
        mongo_server.command("configureFailPoint", "failCommand", mode="off")
        close_clients(mongo)


def test_an_error_that_will_not_pass_is_raised_at_once(mongo: Mongo) -> None:
    tries: list[int] = []

    def fail(session: ClientSession) -> None:
        tries.append(1)
        mongo.collection("numbers").update_one({}, {"$nonsense": {}}, session=session)

    with pytest.raises(OperationFailure):
        mongo.transaction(fail)
    assert tries == [1]


def test_a_server_that_is_no_replica_set_is_told_in_one_line() -> None:
    server = MongoServer(replica_set=False)
    try:
        server.start()
        with open_store(server.url("x"), ready=False) as store:
            assert isinstance(store, MongoStore)
            for use in (
                store.prepare,
                lambda: store.append([sample()], Checkpoint(SOURCE, "a", 0, False, 1)),
                lambda: store.forget(SOURCE, "a"),
            ):
                with pytest.raises(StoreUnavailable) as caught:
                    use()
                assert str(caught.value) == NO_REPLICA_SET
            # What is there can be read.
            assert store.page(LogQuery()).records == []
    finally:
        server.remove()
