"""A running world for each test, the operator's registration with its authority, and the command in a folder."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.conftest import Desk
from tests.oauth.authority import SCOPES, Client
from tests.oauth.world import World
from warmup.policy.authority import Authority, AuthorityName
from warmup.wire.network import Network

CLIENT = Client("warmup-desktop", secret="s3cr:t/of+our client=".replace(" ", "-"))


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The servers, with our client registered."""
    with World(tmp_path_factory.mktemp("oauth")) as running:
        running.authority.clients[CLIENT.client_id] = CLIENT
        yield running


@pytest.fixture
def network(world: World) -> Network:
    return Network(ca_file=world.ca_file, smtp_timeout=20, imap_timeout=20)


@pytest.fixture
def google(world: World) -> Authority:
    """The authority, asked as Google is."""
    return Authority(
        name=AuthorityName.GOOGLE,
        client_id=CLIENT.client_id,
        client_secret=CLIENT.secret,
        sign_in_endpoint=world.url("/authorize"),
        token_endpoint=world.url("/token"),
        scopes=SCOPES,
    )


@pytest.fixture
def microsoft(google: Authority, world: World) -> Authority:
    """The same, asked as Microsoft is."""
    return replace(google, name=AuthorityName.MICROSOFT, sign_in_endpoint=world.url("/device"))


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after `warmup init`, to be copied."""
    folder = tmp_path_factory.mktemp("begun")
    assert Desk(folder=folder).warmup("init").code == 0
    return folder


@pytest.fixture
def desk(tmp_path: Path, begun: Path, world: World) -> Desk:
    """A folder whose configuration knows the authority by both names."""
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    (tmp_path / "client.secret").write_text(f"{CLIENT.secret}\n")
    scopes = ",".join(SCOPES)
    environ = {
        "WARMUP__NETWORK__CA_FILE": str(world.ca_file),
        "WARMUP__OAUTH__GOOGLE__CLIENT_ID": CLIENT.client_id,
        "WARMUP__OAUTH__GOOGLE__CLIENT_SECRET_FILE": "client.secret",
        "WARMUP__OAUTH__GOOGLE__AUTHORIZATION_ENDPOINT": world.url("/authorize"),
        "WARMUP__OAUTH__GOOGLE__TOKEN_ENDPOINT": world.url("/token"),
        "WARMUP__OAUTH__GOOGLE__SCOPES": scopes,
        "WARMUP__OAUTH__MICROSOFT__CLIENT_ID": CLIENT.client_id,
        "WARMUP__OAUTH__MICROSOFT__CLIENT_SECRET_FILE": "client.secret",
        "WARMUP__OAUTH__MICROSOFT__DEVICE_AUTHORIZATION_ENDPOINT": world.url("/device"),
        "WARMUP__OAUTH__MICROSOFT__TOKEN_ENDPOINT": world.url("/token"),
        "WARMUP__OAUTH__MICROSOFT__SCOPES": scopes,
    }
    return Desk(folder=tmp_path, environ=environ)
