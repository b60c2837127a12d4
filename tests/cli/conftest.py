"""The installed `warmup` command in a folder of its own, and a small mail world for it to log in to."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from warmup.cli.schema import schema_text

COMMAND = Path(sys.executable).with_name("warmup")


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a call ended."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The lines that begin with `error:`."""
        return [line for line in self.err.splitlines() if line.startswith("error: ")]

    @property
    def document(self) -> Any:
        """The JSON document on stdout, found to keep to its schema."""
        document = json.loads(self.out)
        name = document["schema"].removeprefix("warmup.").removesuffix("/1")
        Draft202012Validator(json.loads(schema_text(name))).validate(document)
        return document


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A folder with a configuration, and the command called in it."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def warmup(self, *arguments: str, stdin: str = "", **environ: str) -> Ended:
        """Call the command to its end."""
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.surroundings(**environ),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ended(code=done.returncode, out=done.stdout, err=done.stderr)

    def surroundings(self, **environ: str) -> dict[str, str]:
        """The environment of a call: nothing of the caller's configuration."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WARMUP")}
        return {**kept, "HOME": str(self.folder), **self.environ, **environ}

    def addresses(self) -> list[str]:
        """The enrolled addresses, out of the ledger itself."""
        with closing(sqlite3.connect(self.folder / "warmup.db")) as ledger:
            return [row[0] for row in ledger.execute("SELECT address FROM mailboxes WHERE removed_at IS NULL")]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """An empty folder."""
    return Desk(folder=tmp_path)


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after `warmup init`, to be copied."""
    folder = tmp_path_factory.mktemp("begun")
    assert Desk(folder=folder).warmup("init").code == 0
    return folder


@pytest.fixture
def ready(desk: Desk, begun: Path) -> Desk:
    """A folder after `warmup init`."""
    shutil.copytree(begun, desk.folder, dirs_exist_ok=True)
    return desk


@dataclass(frozen=True, kw_only=True)
class Account:
    """One account of the mail world."""

    address: str
    password: str
    smtp_port: int
    smtps_port: int
    imaps_port: int
    ca_file: str

    @property
    def servers(self) -> list[str]:
        """The options that name its servers."""
        return ["--smtp", f"127.0.0.1:{self.smtp_port}", "--imap", f"127.0.0.1:{self.imaps_port}"]


@pytest.fixture(scope="session")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Account]]:
    """The accounts of a running mail world."""
    folder = tmp_path_factory.mktemp("world")
    command = [sys.executable, "-m", "warmup.sandbox", "--folder", str(folder), "--start", "2026-01-05T00:00:00Z"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as world:
        assert world.stdout is not None
        assert world.stdout.readline().strip() == "ready"
        told = json.loads((folder / "sandbox.json").read_text(encoding="utf-8"))
        fields = Account.__dataclass_fields__
        yield [Account(**{key: one[key] for key in fields}) for one in told["accounts"]]
        world.terminate()
        world.wait(timeout=20)


@pytest.fixture
def trusting(ready: Desk, accounts: list[Account]) -> Desk:
    """A folder whose configuration believes the mail world's CA."""
    return Desk(folder=ready.folder, environ={"WARMUP__NETWORK__CA_FILE": accounts[0].ca_file})
