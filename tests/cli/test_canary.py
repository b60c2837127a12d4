"""Two dozen secrets go through everything that can fail, with debug logging on, and none is to be seen anywhere.

The servers are parrots: they repeat the login in every spelling, as an answer to it, to a message or to a look. What
is searched is all that the program left behind: what every verb printed, the daemon's log, its HTTP doors, the
ledger's files, and the process list while it ran.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.canaries import CANARIES, found
from tests.cli.chain import Chain, chained
from tests.cli.parrot import Parrot, parrot
from tests.scenarios.house import House, until

SPEED = 1000.0
# A domain of its own for each: the mailboxes of one share its day, which is a handful of messages.
ADDRESSES = [f"c@d{number:02d}.test" for number in range(len(CANARIES))]
SMTP_STAGES = ["auth", "garbage", "mail", "rcpt", "data", "dot"]
IMAP_STAGES = ["imap-no", "imap-bye", "imap-list", "imap-examine", "imap-search"]
WITHHELD = "its words are withheld"


@dataclass(slots=True, kw_only=True)
class Left:
    """What was left behind, by where it was found; `codes` are exit codes by what was called."""

    places: dict[str, bytes] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    processes: set[bytes] = field(default_factory=set)
    parrot: Parrot = field(default_factory=Parrot)
    keys: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    folder = tmp_path_factory.mktemp("canary")
    house = House(
        folder=folder / "house", environ={"WARMUP__REHEARSAL__SPEED": str(SPEED), "WARMUP__LOG__LEVEL": "debug"}
    )
    with parrot(folder) as server:
        server.secrets.update(zip(ADDRESSES, CANARIES, strict=True))
        house.install(ca_file=str(server.ca_file))
        kept = Left(parrot=server)
        try:
            with watching_processes(kept), chained(house.surroundings) as chain:
                enrol_all(house, chain, kept)
                let_it_run(house, chain, kept)
                call_everything(house, chain, kept)
        finally:
            house.close()
        for path in sorted(house.folder.rglob("*")):
            if path.is_file():
                kept.places[f"file {path.name}"] = path.read_bytes()
        yield kept


def enrol_all(house: House, chain: Chain, kept: Left) -> None:
    """Every canary is refused by a parrot at both doors, then enrolled, then checked against a parrot."""
    server = kept.parrot
    for number, address in enumerate(ADDRESSES):
        for stage, code in (("auth", 77), ("garbage", 69), ("imap-no", 77), ("imap-bye", 69), ("", 0)):
            server.stages[address] = stage
            name = f"add {address} {stage}"
            asked = ["mailbox", "add", address, *servers(server), *source(house, number)]
            call(chain, kept, name, *asked, **said(house, number))
            assert kept.codes[name] == code, kept.places[name]
        server.stages[address] = ["imap-list", "imap-examine", "auth"][number % 3]
        call(chain, kept, f"check {address}", "mailbox", "check", address, "--json")
    # A few as processes of their own, for the process list.
    server.stages[ADDRESSES[1]] = "auth"
    for arguments in (
        ["mailbox", "add", "x@x.test", *servers(server), *source(house, 2)],
        ["mailbox", "check", ADDRESSES[1]],
    ):
        done = house.ended("--log-level", "debug", *arguments)
        kept.places[f"process {' '.join(arguments[:3])}"] = (done.stdout + done.stderr).encode()


def servers(server: Parrot) -> list[str]:
    where = ["--smtp", f"127.0.0.1:{server.smtp_port}", "--smtp-security", "starttls"]
    return [*where, "--imap", f"127.0.0.1:{server.imap_port}", "--imap-security", "tls"]


def source(house: House, number: int) -> list[str]:
    """Where the password comes from: each way is used by a third of them."""
    if number % 3 == 0:
        return ["--password-stdin"]
    if number % 3 == 1:
        return ["--password-env", "CANARY"]
    return ["--password-file", str(house.folder.parent / f"secret-{number}")]


def said(house: House, number: int) -> dict[str, str]:
    """What `source` needs."""
    if number % 3 == 0:
        return {"stdin": CANARIES[number]}
    if number % 3 == 1:
        return {"CANARY": CANARIES[number]}
    (house.folder.parent / f"secret-{number}").write_text(CANARIES[number] + "\n")
    return {}


def call(chain: Chain, kept: Left, name: str, *arguments: str, stdin: str = "", **environ: str) -> None:
    """Call a verb with debug logging on, and keep what it said."""
    code, told = chain.call("--log-level", "debug", *arguments, stdin=stdin, environ=environ)
    kept.codes[name] = code
    kept.places[name] = told.encode("utf-8", "surrogateescape")


def call_everything(house: House, chain: Chain, kept: Left) -> None:
    """Every verb that shows something, and some that are called wrongly."""
    for arguments in (
        ["mailbox", "list"],
        ["mailbox", "list", "--json"],
        ["status"],
        ["status", "--json"],
        ["metrics"],
        ["healthcheck"],
        ["healthcheck", "--json"],
        ["config", "show", "--origin"],
        ["config", "check"],
        ["db", "check", "--json"],
        *(["export", what, "--format", form] for what in ("messages", "attempts") for form in ("jsonl", "csv")),
        ["export", "standings", "--format", "jsonl"],
        ["export", "daily", "--format", "jsonl"],
        *(["mailbox", "show", address, "--json"] for address in ADDRESSES[:3]),
        ["plan", ADDRESSES[0], "--json"],
    ):
        call(chain, kept, " ".join(arguments), *arguments)
    for number in (0, 1, 3, 11, 13, 14):
        secret = CANARIES[number]
        call(chain, kept, f"too many {number}", "mailbox", "add", "a@b.test", "--password-stdin", secret)
        call(chain, kept, f"no variable {number}", "mailbox", "set", ADDRESSES[0], "--password-env", secret)
        url = f"postgresql+psycopg://me:{secret}@127.0.0.1:1/warmup"
        for arguments in (["config", "show"], ["status"]):
            name = f"url {number} {arguments[0]}"
            call(chain, kept, name, *arguments, WARMUP__LEDGER__URL=url)
    for number in (3, 4):
        name = f"set {number}"
        call(chain, kept, name, "mailbox", "set", ADDRESSES[number], *source(house, number), **said(house, number))
    rotate(house, chain, kept, "at rest")
    rotate(house, chain, kept, "a credential", CREDENTIALS_DIRECTORY=str(house.folder))
    assert [kept.codes[f"rotate {where}"] for where in ("beside the daemon", "at rest", "a credential")] == [0, 0, 78]
    # Without the CA no server is believed, and nobody gets a password.
    refused = ["mailbox", "check", ADDRESSES[0]]
    call(chain, kept, "refused tls", *refused, WARMUP__NETWORK__CA_FILE="")
    assert kept.codes["refused tls"] == 69


def let_it_run(house: House, chain: Chain, kept: Left) -> None:
    """The daemon among parrots, until it was told everywhere."""
    stages = [*SMTP_STAGES, *IMAP_STAGES]
    kept.parrot.stages.update({address: stages[number % len(stages)] for number, address in enumerate(ADDRESSES)})
    house.start()
    until(lambda: all_told(house), seconds=180, what="every kind of parrot was met", every=0.5)
    rotate(house, chain, kept, "beside the daemon")
    for path in ("/metrics", "/readyz", "/livez"):
        kept.places[f"GET {path}"] = house.get(path)[1].encode()
    kept.places["healthcheck of the daemon"] = house("healthcheck", "--json").encode()
    token = house.folder.parent / "token"
    for number in (0, 1, 5, 16):
        token.write_text(f"{CANARIES[number]}\n{CANARIES[number]}")
        call(chain, kept, f"token {number}", "healthcheck", WARMUP__HTTP__TOKEN_FILE=str(token))
    pid = house.daemons[-1].pid
    kept.places["environ of the daemon"] = Path(f"/proc/{pid}/environ").read_bytes()
    assert house.stop() == 0


def rotate(house: House, chain: Chain, kept: Left, where: str, **environ: str) -> None:
    """Seal everything anew; every key there ever was is a secret as well."""
    key_file = house.folder / "warmup.key"
    kept.keys.update(key_file.read_text().split())
    call(chain, kept, f"rotate {where}", "secrets", "rotate", **environ)
    kept.keys.update(key_file.read_text().split())


def all_told(house: House) -> bool:
    log = house.log.read_text(errors="replace")
    replies = re.findall(r"event=attempt.*verdict=(refused|deferred)", log)
    doors = set(re.findall(r"event=.?(?:door shut|login refused).*mailbox=(\d+).*protocol=(\w+)", log))
    rows = house.export("attempts")
    problems = [row["problem"] for row in json.loads(house("status", "--json"))["mailboxes"] if row["problem"]]
    both = {protocol for _, protocol in doors} >= {"smtp", "imap"}
    return both and len(replies) >= 3 and len(problems) >= 6 and len(rows) >= 4


@contextmanager
def watching_processes(kept: Left) -> Iterator[None]:
    """Look at the command lines of all processes, again and again."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    kept.processes.add(entry.read_bytes().replace(b"\0", b" "))
                except OSError:
                    continue

    thread = threading.Thread(target=watch, name="process list")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        # Said wrongly by the test itself, as a person may: nothing to be done about that.
        lines = [line for line in kept.processes if b"a@b.test" not in line and b"mailbox set" not in line]
        kept.places["process list"] = b"\n".join(sorted(lines))


def test_no_secret_is_to_be_seen_in_any_spelling(left: Left) -> None:
    hits = found(CANARIES, left.places)
    assert sorted({place for _, place, _ in hits}) == [], hits[0]


def test_no_key_is_to_be_seen_but_in_its_file(left: Left) -> None:
    assert len(left.keys) == 3
    places = {name: content for name, content in left.places.items() if name != "file warmup.key"}
    assert found(left.keys, places) == []
    assert {key for key in left.keys if key.encode() in left.places["file warmup.key"]} != set()


def test_the_parrots_repeated_every_one_of_them(left: Left) -> None:
    heard = {"parrot": b"\n".join(left.parrot.repeated)}
    assert {secret for secret, _, _ in found(CANARIES, heard)} == set(CANARIES)


def test_what_was_searched_is_what_was_meant_to_be(left: Left) -> None:
    assert len(left.places) > 100
    assert sum(b"Traceback" in content for content in left.places.values()) > 30
    assert any(b"mailbox add" in line for line in left.processes)
    assert any(re.search(rb"warmup.*\brun\b", line) for line in left.processes)
    assert WITHHELD.encode() in left.places["file run.log"]
    assert WITHHELD.encode() in left.places["export attempts --format jsonl"]
    assert b"level=debug" in left.places["file run.log"]


def test_a_secret_that_is_not_text_is_told_so(left: Left, tmp_path: Path) -> None:
    house = House(folder=tmp_path / "house")
    house.install()
    done = house.ended(
        "mailbox", "add", "a@b.test", *servers(left.parrot), "--password-env", "RAW", RAW="\udcff\udcfe-Canary"
    )
    assert done.returncode == 65
    assert "not UTF-8" in done.stderr
    assert "Canary" not in done.stderr
