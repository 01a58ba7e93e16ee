"""A real MongoDB server, a replica set of one, for tests."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.helpers import free_port, missing, wait_for

_CONFIG = {
    "_id": "rs0",
    # Faster, and what a test loses at a power cut nobody misses.
    "writeConcernMajorityJournalDefault": False,
    "settings": {"electionTimeoutMillis": 500},
}


def close_clients(store: Any) -> None:
    """End the connections of a MongoStore, or of its `Mongo`; other stores have none."""
    for client in getattr(getattr(store, "_mongo", store), "_clients", {}).values():
        client.close()


class MongoServer:
    """A mongod on a port of its own; `stop` and `start` as often as a test likes."""

    def __init__(self, *, replica_set: bool = True) -> None:
        program = os.environ.get("MONGOD_BIN") or shutil.which("mongod")
        if not program:
            missing("MongoDB", "mongodb-org-server, or set MONGOD_BIN")
        self._folder = Path(tempfile.mkdtemp(prefix="mongod-"))
        self._replica_set = replica_set
        self.port = free_port()
        self._command = [
            program, "--dbpath", self._folder, "--bind_ip", "127.0.0.1", "--port", str(self.port),
            "--nounixsocket", "--quiet", "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "100",
            "--setParameter", "diagnosticDataCollectionEnabled=false",
            *(["--replSet", "rs0"] if replica_set else []),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        return f"mongodb://127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it takes writes."""
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output)
        wait_for(self._is_ready, 60, f"mongod does not start: {self._folder / 'output'}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=60)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def drop(self, database: str) -> None:
        with MongoClient(self.url("")) as client:
            # The transaction of a killed process would be waited for.
            client.admin.command("killAllSessions", [])
            client.drop_database(database)

    def _is_ready(self) -> bool:
        client: MongoClient[dict[str, Any]]
        with MongoClient(
            self.url(""), directConnection=True, serverSelectionTimeoutMS=500
        ) as client:
            try:
                hello = client.admin.command("hello")
                if self._replica_set and "setName" not in hello:
                    member = {"_id": 0, "host": f"127.0.0.1:{self.port}"}
                    client.admin.command("replSetInitiate", {**_CONFIG, "members": [member]})
                    return False
                return bool(hello["isWritablePrimary"])
            except PyMongoError:
                # Still starting, or electing itself.
                return False
