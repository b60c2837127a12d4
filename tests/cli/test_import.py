"""`warmup mailbox import`: all of a file or nothing of it, and never a password on the way out."""

import csv
import io
import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.conftest import COMMAND, Account, Desk, Ended
from warmup.cli.faults import Fault
from warmup.cli.import_file import rows_of

Cells = dict[str, str]


def cells(account: Account, **more: str) -> Cells:
    return {
        "address": account.address,
        "smtp": f"127.0.0.1:{account.smtp_port}",
        "imap": f"127.0.0.1:{account.imaps_port}",
        "password": account.password,
        **more,
    }


def write(folder: Path, *rows: Cells, delimiter: str = ",") -> Path:
    path = folder / "fleet.csv"
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    path.touch(mode=0o600)
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


def imported(desk: Desk, *rows: Cells, options: tuple[str, ...] = (), **environ: str) -> Ended:
    write(desk.folder, *rows)
    return desk.warmup("mailbox", "import", "fleet.csv", *options, **environ)


def by_line(ended: Ended) -> dict[int, Any]:
    return {row["line"]: row for row in ended.document["rows"]}


def secretless(ended: Ended, accounts: list[Account]) -> None:
    assert not [one.password for one in accounts if one.password in ended.out + ended.err]


def test_many_are_enrolled_at_once_and_each_is_reported(trusting: Desk, accounts: list[Account]) -> None:
    fleet = accounts[:4]
    rows = [cells(one, role="both", tags="a b", timezone="Europe/Berlin", daily_limit="40") for one in fleet]
    rows[1]["engage"], rows[2]["name"], rows[3]["role"] = "yes", 'Ada "the" First, Ph.D.', "control"
    ended = imported(trusting, *rows, options=("--json", "--concurrency", "3"))
    assert ended.code == 0, ended
    assert ended.document["enrolled"] == 4
    assert {row["state"] for row in ended.document["rows"]} == {"enrolled"}
    assert [row["address"] for row in ended.document["rows"]] == [one.address for one in fleet]
    assert {row["junk_folder"] for row in ended.document["rows"]} == {"Junk"}
    assert sorted(trusting.addresses()) == sorted(one.address for one in fleet)
    shown = trusting.warmup("mailbox", "show", fleet[1].address, "--json").document
    assert (shown["engage"], shown["tags"], shown["limit"]) == (True, ["a", "b"], 40)
    assert (shown["timezone"], shown["state"]) == ("Europe/Berlin", "active")
    shown = trusting.warmup("mailbox", "show", fleet[2].address, "--json").document
    assert shown["name"] == 'Ada "the" First, Ph.D.'
    secretless(ended, accounts)


def test_progress_is_plain_lines_where_nobody_looks_at_a_terminal(trusting: Desk, accounts: list[Account]) -> None:
    ended = imported(trusting, *map(cells, accounts[:2]))
    assert ended.code == 0
    counted = re.findall(r"^(checked|logged in) (\d)/2 (\S+)$", ended.err, re.MULTILINE)
    assert [(what, number) for what, number, _ in counted] == [
        ("checked", "1"), ("checked", "2"), ("logged in", "1"), ("logged in", "2"),
    ]  # fmt: skip
    assert all(one.address in ended.out for one in accounts[:2])
    assert "\x1b" not in ended.out + ended.err
    secretless(ended, accounts)


def test_progress_is_a_bar_on_a_terminal(trusting: Desk, accounts: list[Account]) -> None:
    write(trusting.folder, cells(accounts[0]))
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [COMMAND, "mailbox", "import", "fleet.csv"],
        cwd=trusting.folder,
        env=trusting.surroundings(TERM="xterm"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        said = bytearray()
        try:
            while block := os.read(ours, 65536):
                said += block
        except OSError:
            pass  # Linux ends a terminal nobody writes to any more with EIO
        assert process.wait(timeout=60) == 0
    os.close(ours)
    assert "━".encode() in said
    assert b"1/1" in said
    assert accounts[0].password.encode() not in said


def test_one_wrong_login_saves_nobody(trusting: Desk, accounts: list[Account]) -> None:
    wrong = cells(accounts[1], password="not the password")
    ended = imported(trusting, cells(accounts[0]), wrong, cells(accounts[2]), options=("--json",))
    assert ended.code == 77
    assert trusting.addresses() == []
    rows = by_line(ended)
    assert [rows[line]["state"] for line in (2, 3, 4)] == ["ready", "refused", "ready"]
    assert "refused the login" in rows[3]["error"]
    assert ended.errors == [
        "error: 1 of 3 rows will not do, and nothing was saved; mend them and import the file again"
    ]
    assert "not the password" not in ended.out + ended.err
    secretless(ended, accounts)


def test_no_login_is_tried_while_any_row_is_wrong_in_itself(trusting: Desk, accounts: list[Account]) -> None:
    rows = [
        cells(accounts[0], password="not the password"),
        cells(accounts[1], timezone="Europe/Berln"),
        cells(accounts[2], role="nobody"),
        cells(accounts[3], daily_limit="many"),
        cells(accounts[4], address="nonsense"),
        cells(accounts[5], password=""),
        cells(accounts[6], password_env="ALSO"),
    ]
    ended = imported(trusting, *rows, options=("--json",))
    assert ended.code == 65
    assert trusting.addresses() == []
    said = {line: row["error"] for line, row in by_line(ended).items()}
    assert said[2] is None
    for line, word in (
        (3, "Europe/Berlin"),
        (4, "role"),
        (5, "daily_limit"),
        (6, "not an address"),
        (7, "password_env"),
        (8, "more than one"),
    ):
        assert word in said[line]
    assert "logged in" not in ended.err
    secretless(ended, accounts)


def test_an_account_stands_in_a_file_once_and_not_in_the_ledger(trusting: Desk, accounts: list[Account]) -> None:
    ada, ben = accounts[0], accounts[1]
    twin = cells(ada, address=ada.address.replace("@", "+news@"))
    ended = imported(trusting, cells(ada), cells(ben), twin, options=("--json", "--no-verify"))
    assert ended.code == 65
    assert "line 2" in by_line(ended)[4]["error"]
    assert trusting.addresses() == []
    assert imported(trusting, cells(ada), options=("--no-verify",)).code == 0
    ended = imported(trusting, cells(ben), cells(ada), options=("--json", "--no-verify"))
    assert ended.code == 65
    assert "enrolled already" in by_line(ended)[3]["error"]
    assert trusting.addresses() == [ada.address]


def test_without_a_login_they_are_unverified_and_need_no_password(ready: Desk) -> None:
    servers = {"smtp": "127.0.0.1:1", "imap": "127.0.0.1:2"}
    rows = [{"address": f"{name}@one.test", **servers} for name in ("ann", "ben")]
    ended = imported(ready, *rows, options=("--json", "--no-verify"))
    assert ended.code == 0
    assert {row["state"] for row in ended.document["rows"]} == {"unverified"}
    assert sorted(ready.addresses()) == ["ann@one.test", "ben@one.test"]


def test_passwords_come_from_the_environment_and_files_too(trusting: Desk, accounts: list[Account]) -> None:
    (trusting.folder / "word").write_text(f"{accounts[1].password}\n")
    rows = [
        cells(accounts[0], password="", password_env="WORD"),
        cells(accounts[1], password="", password_file="word"),
    ]
    assert imported(trusting, *rows, WORD=accounts[0].password).code == 0
    assert len(trusting.addresses()) == 2


def test_a_file_with_passwords_that_others_may_read_is_warned_of(trusting: Desk, accounts: list[Account]) -> None:
    path = write(trusting.folder, cells(accounts[0]))
    path.chmod(0o644)
    ended = trusting.warmup("mailbox", "import", "fleet.csv")
    assert ended.code == 0
    assert "warning: fleet.csv holds passwords and others may read it" in ended.err
    secretless(ended, accounts)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ("no column address",)),
        (b"address\n", ("no row",)),
        (b"mail,password\na@b.test,x\n", ("no column address",)),
        (b"address,pasword\na@b.test,hunter2\n", ("pasword", 'did you mean "password"?')),
        (b"address,address\na@b.test,b@b.test\n", ("twice",)),
        (b"address,name\n\xff\xfe,x\n", ("not UTF-8",)),
        (b'address,password\na@b.test,"hunter2\n', ("line",)),
    ],
)
def test_a_file_that_will_not_do_as_a_whole_is_65(ready: Desk, content: bytes, words: tuple[str, ...]) -> None:
    (ready.folder / "fleet.csv").write_bytes(content)
    ended = ready.warmup("mailbox", "import", "fleet.csv")
    assert ended.code == 65, ended
    assert len(ended.errors) == 1
    assert all(word in ended.errors[0] for word in words)
    assert "hunter2" not in ended.out + ended.err
    assert ready.addresses() == []


def test_a_file_that_is_not_there_is_65(ready: Desk) -> None:
    ended = ready.warmup("mailbox", "import", "nowhere.csv")
    assert ended.code == 65
    assert "nowhere.csv cannot be read" in ended.errors[0]


def test_cells_too_many_are_not_quoted(ready: Desk) -> None:
    (ready.folder / "fleet.csv").write_text("address,role,password\nann@one.test,sender,hunter2,seed\n")
    ended = ready.warmup("mailbox", "import", "fleet.csv")
    assert ended.code == 65
    assert "4 cells, the header 3" in ended.out
    assert "hunter2" not in ended.out + ended.err


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_what_spreadsheets_write_is_read(tmp_path: Path, delimiter: str) -> None:
    path = write(
        tmp_path,
        {"Address": " ann@one.test ", "Daily-Limit": "12", "TAG": "a b", "password": " kept as it is "},
        {"Address": "", "Daily-Limit": "", "TAG": "", "password": ""},
        delimiter=delimiter,
    )
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    (row,) = rows_of(path)
    assert row.wish is not None
    assert (row.wish.address, row.wish.daily_limit, row.wish.tags) == ("ann@one.test", 12, ("a", "b"))
    assert row.source.text == " kept as it is "
    assert "kept as it is" not in repr(row)


@given(st.binary(max_size=200))
def test_no_file_does_more_than_be_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    for content in (data, b"address,password,role\n" + data):
        path.write_bytes(content)
        try:
            rows = rows_of(path)
        except Fault:
            continue
        assert rows
        assert all((row.wish is None) == (row.fault is not None) for row in rows)
