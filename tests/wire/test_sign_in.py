"""A server that takes no token is not shown one."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from warmup.policy.mailbox import Security
from warmup.wire.errors import CredentialsRefused
from warmup.wire.imap import open_imap
from warmup.wire.login import Login, SignIn
from warmup.wire.network import Network
from warmup.wire.smtp import open_smtp

Start = Callable[..., Awaitable[Any]]


@pytest.fixture
def token(login: Login) -> Login:
    return replace(login, sign_in=SignIn.XOAUTH2)


async def test_an_smtp_server_without_xoauth2_is_not_shown_a_token(
    scripted_smtp: Start, network: Network, token: Login
) -> None:
    server = await scripted_smtp()
    with pytest.raises(CredentialsRefused) as caught:
        await open_smtp(server.endpoint(Security.NONE), token, helo="sender.test", network=network)
    assert "takes no OAuth token" in caught.value.hint
    assert not any(line.startswith(b"AUTH") for line in server.said)


async def test_an_imap_server_without_xoauth2_is_not_shown_a_token(
    scripted_imap: Start, network: Network, token: Login
) -> None:
    server = await scripted_imap(capability=b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nTAG OK done\r\n")
    with pytest.raises(CredentialsRefused, match="takes no OAuth token"):
        await open_imap(server.endpoint(Security.NONE), token, network=network)
    assert not any(b"AUTHENTICATE" in line for line in server.said)
