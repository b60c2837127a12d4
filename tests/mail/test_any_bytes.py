"""Any bytes give a value: what `make fuzz` hunts for hours, for a moment in every gate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.seeds import seeds_of
from tests.fuzz.targets import TARGETS

PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r",
        b"--b\n",
        b"--b--",
        b"Content-Type: multipart/report; boundary=b\n",
        b"Content-Type: message/delivery-status\n\n",
        b"Content-Transfer-Encoding: base64\n",
        b"Final-Recipient: rfc822; a@b.example\n",
        b"Action: failed\n",
        b"Status: 5.1.1\n",
        b"550 ",
        b"5.1.1 ",
        b"<a@b.example>: ",
        b">>> RCPT TO:<a@b.example>\n",
        b"<<< 550 no\n",
        b"From: MAILER-DAEMON@x\n",
        b"Subject: =?utf-8?b?",
        b"?=",
        b"spf=pass ",
        b"(",
        b")",
        b'"',
        b";",
        b"=",
        b"{3}\r\n",
        b"* 1 FETCH (",
        b'{"id":1,"reply":"',
        b'"}\n',
        b'{"id":NaN}\n',
        b"\xff",
        b"\x1b$B",
    ]
)


@pytest.mark.parametrize("name", sorted(TARGETS))
@given(pieces=st.lists(st.binary(max_size=60) | PIECES, max_size=30))
def test_any_bytes_give_a_value(name: str, pieces: list[bytes]) -> None:
    TARGETS[name](b"".join(pieces))


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_what_fuzzing_begins_with_gives_values(name: str) -> None:
    seeds = seeds_of(name)
    assert seeds
    for seed in seeds:
        TARGETS[name](seed)


@pytest.mark.parametrize("name", sorted(TARGETS))
@given(data=st.data())
def test_a_sample_cut_anywhere_gives_a_value(name: str, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(seeds_of(name)))
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(seed)), st.integers(0, len(seed)))))
    TARGETS[name](seed[:start] + seed[end:])
