"""A real Dovecot that asks the authorisation server whose a token is, and explains a refusal as Google does."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import unavailable
from tests.lab.layout import MAIL_UID, until
from tests.oauth.test_tokens import granted
from tests.oauth.world import World
from warmup.policy.authority import Authority
from warmup.policy.mailbox import Endpoint, Security
from warmup.wire.errors import CredentialsRefused
from warmup.wire.imap import open_imap
from warmup.wire.login import Login, SignIn
from warmup.wire.network import Network

pytestmark = pytest.mark.lab

CONF = """\
base_dir = {run}/base
state_dir = {run}/base
log_path = {run}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = xoauth2
auth_failure_delay = 0
mail_location = maildir:{run}/mail/%u
mail_uid = {uid}
mail_gid = {uid}
first_valid_uid = 1
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {run}/oauth2.conf
}}
userdb {{
  driver = static
  args = uid={uid} gid={uid} home={run}/mail/%u
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"""
OAUTH2 = """\
introspection_mode = post
introspection_url = {url}
username_attribute = username
active_attribute = active
active_value = true
"""


@pytest.fixture
def dovecot(world: World) -> Iterator[Endpoint]:
    """Dovecot, on a free port of loopback."""
    reason = unavailable()
    if reason and os.environ.get("WARMUP_LAB") == "require":
        pytest.fail(reason, pytrace=False)
    if reason:
        pytest.skip(reason)
    # Directly under /tmp: a unix socket's path may have 107 characters.
    run = Path(tempfile.mkdtemp(prefix="wu-oauth-", dir="/tmp"))
    run.chmod(0o755)
    (run / "mail").mkdir()
    os.chown(run / "mail", MAIL_UID, MAIL_UID)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = int(holder.getsockname()[1])
    (run / "dovecot.conf").write_text(CONF.format(run=run, uid=MAIL_UID, port=port))
    (run / "oauth2.conf").write_text(OAUTH2.format(url=world.url("/introspect", scheme="http")))
    with (run / "out").open("wb") as said:
        process = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", run / "dovecot.conf"], stdout=said, stderr=said)
    try:
        until(lambda: greets(port), seconds=30, what="Dovecot answers", log=run / "log")
        yield Endpoint(host="127.0.0.1", port=port, security=Security.NONE)
    finally:
        process.terminate()
        process.wait(timeout=20)
        shutil.rmtree(run, ignore_errors=True)


def greets(port: int) -> bool:
    """True once it says hello."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as line:
            return line.recv(100).startswith(b"* OK")
    except OSError:
        return False


async def test_a_token_opens_the_mailbox(world: World, dovecot: Endpoint, google: Authority, network: Network) -> None:
    tokens = await granted(world, google, network)
    login = Login(username=world.user, secret=tokens.access, sign_in=SignIn.XOAUTH2)
    session = await open_imap(dovecot, login, network=network)
    assert (await session.examine("INBOX")).exists == 0
    await session.close()


async def test_a_refusal_that_is_explained_first_ends_at_once_and_echoes_nothing(
    world: World, dovecot: Endpoint, google: Authority, network: Network
) -> None:
    tokens = await granted(world, google, network)
    world.authority.revoke()
    login = Login(username=world.user, secret=tokens.access, sign_in=SignIn.XOAUTH2)
    async with asyncio.timeout(10):
        with pytest.raises(CredentialsRefused) as caught:
            await open_imap(dovecot, login, network=network)
    assert "sign in again as ann@mail.test itself" in caught.value.hint
    assert not [form for form in login.secrets if form in str(caught.value)]


async def test_a_password_is_told_to_be_the_wrong_way(dovecot: Endpoint, network: Network) -> None:
    with pytest.raises(CredentialsRefused) as caught:
        await open_imap(dovecot, Login(username="ann@mail.test", secret="hunter2"), network=network)
    assert "hunter2" not in str(caught.value)
