import logging
import os
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from flask import Flask

from app.logstore.contract import LogQuery, StoreUnavailable
from app.logstore.mongo_store import MongoStore
from app.logstore.shipper import Shipper, shipper_for
from app.scheduler.election import take_lock
from app.scheduler.runner import Runner
from tests.helpers import wait_for
from tests.logstore.stores import everything, open_store, put, sample, write_lines
from tests.mongo_server import MongoReplicaSet, MongoServer


def test_it_has_its_indexes_after_the_first_pass_of_the_shipper(
    mongo_url: str, tmp_path: Path
) -> None:
    with open_store(mongo_url, ready=False) as store:
        Shipper(store, tmp_path).ship_once()
        assert set(store._mongo.collection("logs").index_information()) == {
            "_id_", "request_id_1__id_1", "rare_action_1__id_1", "rare_level_1__id_1",
            "user_id_1__id_1", "rare_status_1__id_1", "source_1_seq_1",
            "exception_fingerprint_1__id_1_user_id_1", "keep_1__id_1", "failed_1__id_1",
            "parent_request_id_1__id_1",
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


def test_when_the_primary_is_killed_shipping_goes_on_with_the_one_elected_then(
    tmp_path: Path,
) -> None:
    said = [sample(message=f"m{number}") for number in range(8000)]
    write_lines(tmp_path / "app.log", *said)
    servers = MongoReplicaSet()
    try:
        servers.start()
        url = servers.url("x") + "&serverSelectionTimeoutMS=300"
        with open_store(url) as store, ThreadPoolExecutor(1) as pool:
            shipper = Shipper(store, tmp_path)

            def ship() -> int:
                failures = 0
                while True:
                    try:
                        if not shipper.ship_once(0.05):
                            return failures
                    except StoreUnavailable:
                        failures += 1

            def some_are_stored() -> bool:
                with suppress(StoreUnavailable):
                    return bool(store.page(LogQuery()).records)
                return False

            shipping = pool.submit(ship)
            wait_for(some_are_stored, 60)
            first = wait_for(servers.primary)
            first.kill()
            # It was in the middle of it.
            assert shipping.result(120) > 0
            assert wait_for(servers.primary, 60) is not first
            assert Counter(one["id"] for one in everything(store)) == Counter(
                one["id"] for one in said
            )
            assert store.recount(check=True).wrong == 0
    finally:
        servers.remove()


PASSWORD = "p@ss/w:rd %canary"


def test_a_user_who_may_only_read_and_write_is_enough_and_no_password_is_ever_told(
    make_app: Callable[..., Flask], capfd: pytest.CaptureFixture[str]
) -> None:
    server = MongoServer(password=PASSWORD)
    try:
        server.start()
        with open_store(server.url("logs")) as store:
            assert put(store, sample())
            assert len(everything(store)) == 1
        wrong = server.url("logs").replace("canary", "wrong-canary")
        app = make_app(LOG_STORE_URL=wrong, LOG_LEVEL="DEBUG")
        with pytest.raises(StoreUnavailable) as refused:
            app.extensions["log_store"].prepare()
        assert str(refused.value) == "The log store does not answer: Authentication failed."
        lock = take_lock(Path(app.config["LOG_DIR"]))
        assert lock is not None
        runner = Runner(app, lock, shipper_for(app), threading.Event())
        runner._step()
        logging.getLogger("shop").error("cannot use %s", wrong, exc_info=refused.value)
        files = [one for one in Path(app.config["LOG_DIR"]).iterdir() if one.is_file()]
        said = "".join([*map(Path.read_text, files), *capfd.readouterr()])
        assert "log_store_unavailable" in said
        assert "cannot use mongodb" in said
        assert "canary" not in said
        os.close(lock)
    finally:
        server.remove()


def test_a_store_that_nothing_was_put_into_answers(mongo_url: str) -> None:
    with open_store(mongo_url, ready=False) as store:
        assert isinstance(store, MongoStore)
        assert store.page(LogQuery()).records == []
        assert store.after(LogQuery())[0] == []
        assert store.checkpoints("s") == []
        store.forget("s", "a")
