"""A PostgreSQL of the tests' own, from Debian's package: on loopback, on a free port, in a folder that goes with it.

Nothing on it is durable unless asked for: what is tested is what a database answers, not what a disk keeps. Root cannot
run it, so it runs as the user that Debian's package made.
"""

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psycopg

from tests.scenarios.house import until

_ROOT = Path("/usr/lib/postgresql")
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "log_min_messages": "warning",
    # A crash waits for those who were about to be turned away, whatever they wait for themselves.
    "authentication_timeout": "5s",
}

_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}


def binaries() -> Path | None:
    """Where the newest server's programs lie; None where none is installed."""
    found = sorted(_ROOT.glob("*/bin/initdb"), key=lambda path: int(path.parent.parent.name))
    return found[-1].parent if found else None


@dataclass(slots=True, kw_only=True)
class Server:
    """A running server. It has a database `postgres` and one login, `postgres`, without a password."""

    folder: Path
    port: int
    durable: bool = False
    process: subprocess.Popen[bytes] = field(init=False)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @classmethod
    def start(cls, *, durable: bool = False) -> Self:
        """Make one and wait until it answers."""
        programs = binaries()
        assert programs is not None, "PostgreSQL is not installed; sudo bash tests/lab/packages.sh"
        folder = Path(tempfile.mkdtemp(prefix="warmup-postgres-", dir="/tmp"))
        owner = _owner()
        if owner is not None:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        data = folder / "data"
        make = [str(programs / "initdb"), "--pgdata", str(data), "--auth", "trust", "--username", "postgres"]
        subprocess.run(
            [*make, "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=folder,
            **_as(owner),
        )
        server = cls(folder=folder, port=_free_port(), durable=durable)
        server.come_up()
        return server

    def answers(self) -> bool:
        """True once a connection is taken."""
        assert self.process.poll() is None, (self.folder / "log").read_text(encoding="utf-8")
        try:
            psycopg.connect(self.where("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def where(self, database: str) -> str:
        """libpq's URL of a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def url(self, database: str) -> str:
        """The same as a ledger's."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def database(self, *, template: str | None = None) -> str:
        """A new database, empty or a copy of `template`; its name."""
        name = f"ledger_{next(self.numbers)}"
        with psycopg.connect(self.where("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template or 'template0'} STRATEGY file_copy".encode())
        return name

    def drop(self, database: str) -> None:
        """Remove a database, whoever is connected to it."""
        with psycopg.connect(self.where("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {database} WITH (FORCE)".encode())

    def go_down(self) -> None:
        """End it at once, as a crash would."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(timeout=60)

    def come_up(self) -> None:
        """Start it and wait until it answers."""
        programs = binaries()
        assert programs is not None
        settings = _SETTINGS if self.durable else {**_SETTINGS, **_NOT_DURABLE}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(programs / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), *options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **_as(_owner()))
        until(self.answers, seconds=60, what="PostgreSQL answers")

    def stop(self) -> None:
        """End it, and remove what it kept."""
        self.go_down()
        shutil.rmtree(self.folder)


def _owner() -> pwd.struct_passwd | None:
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None


def _as(owner: pwd.struct_passwd | None) -> dict[str, Any]:
    return {} if owner is None else {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
