"""Is the daemon well? Asked of real daemons and real doors: ready, not ready, silent, somebody else, nobody."""

import asyncio
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from tests.cli.conftest import COMMAND, Desk, Ended
from warmup.web.app import Doorway, build_app
from warmup.web.server import serving


@contextmanager
def daemon(desk: Desk) -> Iterator["subprocess.Popen[bytes]"]:
    """A daemon on a free port, ended with SIGTERM."""
    environ = desk.surroundings(WARMUP__HTTP__LISTEN="127.0.0.1:0")
    with subprocess.Popen([str(COMMAND), "run"], cwd=desk.folder, env=environ, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            assert any(b"event=ready" in line for line in process.stderr)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def test_a_running_daemon_is_ready_and_an_ended_one_is_not_there(ready: Desk) -> None:
    with daemon(ready):
        # A proxy in the environment has no say: the daemon is on this machine.
        well = ready.warmup("healthcheck", http_proxy="http://127.0.0.1:1", HTTP_PROXY="http://127.0.0.1:1")
        assert (well.code, well.err, well.out.count("\n")) == (0, "", 1)
        told = ready.warmup("healthcheck", "--json").document
        assert (told["live"], told["ready"], told["reason"]) == (True, True, None)
        assert well.out == f"ready at {told['address']}\n"
    gone = ready.warmup("healthcheck")
    assert (gone.code, gone.out, len(gone.errors)) == (69, "", 1)
    assert "start `warmup run`" in gone.errors[0]


def test_a_killed_daemon_leaves_an_address_where_nobody_answers(ready: Desk) -> None:
    with daemon(ready) as process:
        process.kill()
        process.wait(timeout=30)
        assert (ready.folder / "warmup.db.http").exists()
        ended = ready.warmup("healthcheck", "--json")
        assert (ended.code, len(ended.errors)) == (69, 1)
        assert (ended.document["live"], ended.document["ready"]) == (False, False)


@asynccontextmanager
async def doors(desk: Desk, *, unready: str | None = None, bind: str = "127.0.0.1", token: str | None = None) -> (
    AsyncIterator[None]
):  # fmt: skip
    """The daemon's doors alone, in whatever state is wanted."""

    async def nothing() -> bytes:
        return b""

    async def state() -> str | None:
        return unready

    app = build_app(Doorway(exposition=nothing, unready=state), bind=bind, hosts=(), token=token)
    async with serving(app, listen=f"{bind}:0") as port:
        (desk.folder / "warmup.db.http").write_text(f"http://{bind}:{port}\n")
        yield


async def asked(desk: Desk, *options: str, **environ: str) -> Ended:
    """The verb in a thread of its own, so that the doors can answer."""
    return await asyncio.to_thread(desk.warmup, "healthcheck", *options, **environ)


async def test_a_daemon_that_is_not_ready_is_1_with_its_reason(ready: Desk) -> None:
    async with doors(ready, unready="starting or stopping"):
        ended = await asked(ready)
        told = (await asked(ready, "--json")).document
    assert (ended.code, ended.out, len(ended.errors)) == (1, "", 1)
    assert "is not ready: starting or stopping; " in ended.errors[0]
    assert (told["live"], told["ready"], told["reason"]) == (True, False, "starting or stopping")


async def test_an_open_bind_is_asked_with_the_token(ready: Desk) -> None:
    token = ready.folder / "token"
    token.write_text("sesame\n")
    async with doors(ready, bind="0.0.0.0", token="sesame"):
        assert (await asked(ready, WARMUP__HTTP__TOKEN_FILE=str(token))).code == 0
        refused = await asked(ready)
    assert refused.code == 1
    assert "/livez says 401" in refused.errors[0]
    assert "sesame" not in refused.err


def test_one_that_never_answers_is_69_in_time(ready: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (ready.folder / "warmup.db.http").write_text(f"http://127.0.0.1:{silent.getsockname()[1]}\n")
        ended = ready.warmup("healthcheck", "--timeout", "0.2")
    assert (ended.code, len(ended.errors)) == (69, 1)
    assert "timed out" in ended.errors[0]


@pytest.mark.parametrize("text", ["", "http://", "nonsense", "http://127.0.0.1:99999"])
def test_a_file_that_names_no_address_is_69(ready: Desk, text: str) -> None:
    (ready.folder / "warmup.db.http").write_text(text)
    ended = ready.warmup("healthcheck")
    assert (ended.code, len(ended.errors)) == (69, 1)
