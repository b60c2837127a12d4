"""The landing on loopback: one redirect with the right state, and nothing that a page in the browser could do to it."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.wire.errors import Unreachable
from warmup.wire.redirect import Redirected, StateMismatch, landing, redirected

STATE = "right-state"


def test_a_code_is_taken_with_the_right_state_alone() -> None:
    assert redirected("http://127.0.0.1:1/?code=abc&state=right-state", state=STATE) == Redirected(code="abc")
    for wrong in ("wrong", "", "right-stat", "right-state&state=right-state", "right-state%00"):
        with pytest.raises(StateMismatch):
            redirected(f"http://127.0.0.1:1/?code=abc&state={wrong}", state=STATE)
    with pytest.raises(StateMismatch):
        redirected("http://127.0.0.1:1/?code=abc", state=STATE)


def test_a_no_is_taken_as_one() -> None:
    back = redirected("/?error=access_denied&error_description=No%0Athanks&state=right-state", state=STATE)
    assert (back.code, back.error, back.sentence) == ("", "access_denied", "No thanks")


@given(st.text())
def test_whatever_is_pasted_is_a_redirect_or_none(text: str) -> None:
    with suppress(ValueError, StateMismatch):
        assert redirected(text, state=STATE)


def test_a_code_shows_in_no_repr() -> None:
    assert "abc" not in repr(Redirected(code="abc"))


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /?code=stolen&state=guess HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /?code=abc&state=right-state HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"GET /favicon.ico HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01 not HTTP\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"",
    ],
)
async def test_nothing_but_the_redirect_ends_the_wait(request_: bytes) -> None:
    async with landing(STATE, port=0) as place:
        host, _, port = place.redirect_uri.removeprefix("http://").rstrip("/").partition(":")
        assert host == "127.0.0.1"
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request_)
        writer.write_eof()
        with suppress(ConnectionError):
            assert b"Signed in" not in await reader.read()
        writer.close()
        assert not place.arrived.done()
        place.take("/?code=abc&state=right-state")
        assert (await place.arrived).code == "abc"


async def test_a_port_that_is_taken_is_said() -> None:
    async with landing(STATE, port=0) as first:
        port = int(first.redirect_uri.rstrip("/").rpartition(":")[2])
        with pytest.raises(Unreachable, match=str(port)) as caught:
            async with landing(STATE, port=port):
                pass
        assert "oauth.google.redirect_port" in caught.value.hint
