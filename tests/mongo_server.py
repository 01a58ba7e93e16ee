"""A real MongoDB server, a replica set of one, for tests."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.helpers import free_port, missing, wait_for

_CONFIG = {
    "_id": "rs0",
    # Faster, and what a test loses at a power cut nobody misses.
    "writeConcernMajorityJournalDefault": False,
    # Shorter, and a busy machine holds elections that nobody asked for.
    "settings": {"electionTimeoutMillis": 3000},
}


def close_clients(store: Any) -> None:
    """End the connections of a MongoStore, or of its `Mongo`; other stores have none."""
    for client in getattr(getattr(store, "_mongo", store), "_clients", {}).values():
        client.close()


class MongoServer:
    """A mongod on a port of its own; `stop` and `start` as often as a test likes.

    With a `password` it knows one user, who may read and write and nothing else.
    """

    def __init__(self, *, replica_set: bool = True, password: str = "") -> None:
        program = os.environ.get("MONGOD_BIN") or shutil.which("mongod")
        if not program:
            missing("MongoDB", "mongodb-org-server, or set MONGOD_BIN")
        self._folder = Path(tempfile.mkdtemp(prefix="mongod-"))
        self._replica_set = replica_set
        self._password = password
        self.port = free_port()
        self._command = [
            program, "--dbpath", self._folder, "--bind_ip", "127.0.0.1", "--port", str(self.port),
            "--nounixsocket", "--quiet", "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "100",
            "--setParameter", "diagnosticDataCollectionEnabled=false",
            # For fail points, which make it answer as it would in a rare moment.
            "--setParameter", "enableTestCommands=1",
            *(["--replSet", "rs0"] if replica_set else []),
            *(["--auth", "--keyFile", self._key()] if password else []),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        user = f"logger:{quote_plus(self._password)}@" if self._password else ""
        return f"mongodb://{user}127.0.0.1:{self.port}/{database}{'?authSource=admin' * bool(user)}"

    def start(self) -> None:
        """Start the server and wait until it takes writes."""
        self.launch()
        wait_for(self._is_ready, 60, f"mongod does not start: {self._folder / 'output'}")
        if self._password:
            # Whoever comes from this machine may make the first user.
            role = "readWriteAnyDatabase"
            self.command("createUser", "logger", pwd=self._password, roles=[role])

    def launch(self) -> None:
        """Start the server, and do not wait."""
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=60)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=60)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def drop(self, database: str) -> None:
        with MongoClient(self.url("")) as client:
            # The transaction of a killed process would be waited for.
            client.admin.command("killAllSessions", [])
            client.drop_database(database)

    def command(self, name: str, value: Any = 1, **options: Any) -> dict[str, Any]:
        """Give a command without a password; return the answer, empty if there is none."""
        client: MongoClient[dict[str, Any]]
        address = f"mongodb://127.0.0.1:{self.port}"
        with MongoClient(address, directConnection=True, serverSelectionTimeoutMS=500) as client:
            try:
                return client.admin.command(name, value, **options)
            except PyMongoError:
                # Still starting, or electing.
                return {}

    def _is_ready(self) -> bool:
        hello = self.command("hello")
        if self._replica_set and hello and "setName" not in hello:
            initiate(self)
            return False
        return bool(hello.get("isWritablePrimary"))

    def _key(self) -> Path:
        path = self._folder / "key"
        path.write_text("of+the+members")
        path.chmod(0o600)
        return path


class MongoReplicaSet:
    """Three servers, of which the others elect one when the primary is gone."""

    def __init__(self) -> None:
        self._members = [MongoServer() for _ in range(3)]

    def url(self, database: str) -> str:
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in self._members)
        return f"mongodb://{hosts}/{database}?replicaSet=rs0"

    def start(self) -> None:
        for one in self._members:
            one.launch()
        wait_for(lambda: all(one.command("hello") for one in self._members), 60)
        initiate(*self._members)
        wait_for(self.primary, 60)

    def primary(self) -> MongoServer | None:
        for one in self._members:
            if one.command("hello").get("isWritablePrimary"):
                return one
        return None

    def remove(self) -> None:
        for one in self._members:
            # Told to end, a primary without the others would wait for them.
            one.kill()
            one.remove()


def initiate(*members: MongoServer) -> None:
    """Make servers one replica set."""
    hosts = [{"_id": n, "host": f"127.0.0.1:{one.port}"} for n, one in enumerate(members)]
    members[0].command("replSetInitiate", {**_CONFIG, "members": hosts})
