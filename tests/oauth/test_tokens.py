"""Access tokens: renewed before their end, by one at a time, rotated tokens kept first; on real SMTP and IMAP."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.oauth.browser import sent_to
from tests.oauth.world import World
from warmup.policy.authority import Authority
from warmup.policy.mailbox import AccountId, Endpoint, Mailbox, MailboxId, Protocol, Role, Security, State
from warmup.wire.doors import Doors
from warmup.wire.errors import CredentialsRefused, GrantRefused, Unavailable, Unreachable, Why
from warmup.wire.login import Login, SignIn
from warmup.wire.network import Network
from warmup.wire.oauth import Tokens, browser_url, redeem
from warmup.wire.redirect import redirected
from warmup.wire.smtp import open_smtp
from warmup.wire.tokens import AccessTokens, Grant

Asking = Callable[..., AccessTokens]

VERIFIER = "v" * 43


@dataclass
class Shelf:
    """Where grants are kept, and what was given out before they were."""

    grant: Grant
    kept: int = 0
    stays: bool = False

    async def read(self, _: Mailbox) -> Grant:
        return self.grant

    async def keep(self, _: Mailbox, grant: Grant, refresh_token: str) -> Grant:
        if self.stays:
            return grant
        self.kept += 1
        self.grant = replace(grant, refresh_token=refresh_token, version=refresh_token.encode())
        return self.grant


@dataclass
class Boot:
    """The boot clock."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


def mailbox(world: World) -> Mailbox:
    return Mailbox(
        id=MailboxId(1),
        account_id=AccountId(1),
        address=world.user,
        provider="custom",
        receiver="mail.test",
        role=Role.BOTH,
        state=State.ACTIVE,
        ramp="standard",
        target=None,
        daily_limit=100,
        timezone="UTC",
        smtp=Endpoint(host="127.0.0.1", port=world.smtp_port, security=Security.TLS),
        imap=Endpoint(host="127.0.0.1", port=world.imap_port, security=Security.TLS),
        username=world.user,
        enrolled_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


async def granted(world: World, authority: Authority, network: Network) -> Tokens:
    """What a person at a browser grants."""
    asked = {"redirect_uri": "http://127.0.0.1:1/", "state": "s", "verifier": VERIFIER, "address": world.user}
    back = redirected(await asyncio.to_thread(sent_to, world, browser_url(authority, **asked)), state="s")
    return await redeem(
        authority, back.code, verifier=VERIFIER, redirect_uri=asked["redirect_uri"], address=world.user, network=network
    )


@pytest.fixture
def boot() -> Boot:
    return Boot()


@pytest.fixture
async def shelf(world: World, google: Authority, network: Network) -> Shelf:
    tokens = await granted(world, google, network)
    assert tokens.refresh is not None
    return Shelf(Grant(authority=google.name, refresh_token=tokens.refresh, version=b"first"))


@pytest.fixture
def asking(google: Authority, network: Network, shelf: Shelf, boot: Boot) -> Asking:
    """Access tokens of the authority, or of one that is otherwise; other ports where they are said."""

    def make(authority: Authority = google, **ports: Any) -> AccessTokens:
        usual: dict[str, Any] = {"network": network, "read": shelf.read, "keep": shelf.keep, "elapsed": boot}
        return AccessTokens(authority=lambda _: authority, **{**usual, **ports})

    return make


@pytest.fixture
def tokens(asking: Asking) -> AccessTokens:
    return asking()


@pytest.fixture
def doors(network: Network, tokens: AccessTokens) -> Doors:
    async def unseal(mailbox: Mailbox, _: Protocol) -> Login:
        token = await tokens.token(mailbox)
        return Login(username=mailbox.username, secret=token, sign_in=SignIn.XOAUTH2)

    return Doors(network=network, unseal=unseal, outlived=lambda mailbox, login: tokens.refused(mailbox, login.secret))


async def test_a_token_is_used_until_shortly_before_its_end(world: World, tokens: AccessTokens, boot: Boot) -> None:
    ann = mailbox(world)
    first = await tokens.token(ann)
    assert world.authority.owner(first) == world.user
    boot.seconds += 3600 - 301
    assert await tokens.token(ann) == first
    boot.seconds += 2
    second = await tokens.token(ann)
    assert second != first
    assert world.authority.renewals == 2


async def test_a_short_life_is_used_for_three_quarters(world: World, tokens: AccessTokens, boot: Boot) -> None:
    world.authority.lifetime = 40
    first = await tokens.token(mailbox(world))
    boot.seconds += 29
    assert await tokens.token(mailbox(world)) == first
    boot.seconds += 2
    assert await tokens.token(mailbox(world)) != first


async def test_many_at_once_renew_once(world: World, tokens: AccessTokens, shelf: Shelf) -> None:
    world.authority.rotates = True
    given = await asyncio.gather(*(tokens.token(mailbox(world)) for _ in range(20)))
    assert len(set(given)) == 1
    assert world.authority.renewals == 1
    assert shelf.kept == 1


async def test_a_rotated_refresh_token_is_kept_before_its_access_token_is_given(
    world: World, tokens: AccessTokens, shelf: Shelf, boot: Boot
) -> None:
    world.authority.rotates = True
    for turn in range(1, 4):
        assert world.authority.owner(await tokens.token(mailbox(world))) == world.user
        assert shelf.kept == turn
        assert shelf.grant.refresh_token == world.authority.families[0].refresh
        boot.seconds += 3600


async def test_a_token_whose_refresh_token_could_not_be_kept_is_given_to_nobody(world: World, asking: Asking) -> None:
    async def full(_: Mailbox, __: Grant, ___: str) -> Grant:
        raise OSError(28, "no space left")

    world.authority.rotates = True
    tokens = asking(keep=full)
    with pytest.raises(OSError, match="no space"):
        await tokens.token(mailbox(world))


async def test_who_waits_may_be_cancelled_and_the_renewal_goes_on(
    world: World, tokens: AccessTokens, shelf: Shelf
) -> None:
    world.authority.rotates = True
    waiting = asyncio.ensure_future(tokens.token(mailbox(world)))
    while not tokens._renewals:
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await tokens.close()
    assert waiting.cancelled()
    assert shelf.kept == 1
    assert shelf.grant.refresh_token == world.authority.families[0].refresh


async def test_a_new_sign_in_by_another_process_ends_the_old_token(
    world: World, google: Authority, network: Network, tokens: AccessTokens, shelf: Shelf
) -> None:
    first = await tokens.token(mailbox(world))
    again = await granted(world, google, network)
    assert again.refresh is not None
    shelf.grant = Grant(authority=google.name, refresh_token=again.refresh, version=b"second")
    assert await tokens.token(mailbox(world)) != first


async def test_a_grant_rotated_by_another_process_is_read_again_before_it_counts_as_lost(
    world: World, asking: Asking, shelf: Shelf
) -> None:
    stale = replace(shelf.grant, refresh_token="refresh.rotated-away", version=b"stale")
    readings = [stale]

    async def read(mailbox: Mailbox) -> Grant:
        return readings.pop() if readings else await shelf.read(mailbox)

    tokens = asking(read=read)
    assert world.authority.owner(await tokens.token(mailbox(world))) == world.user


async def test_a_revoked_grant_is_lost_and_says_what_to_do(world: World, tokens: AccessTokens) -> None:
    world.authority.revoke()
    with pytest.raises(GrantRefused) as caught:
        await tokens.token(mailbox(world))
    assert caught.value.why is Why.LOST
    assert "warmup oauth login ann@mail.test" in caught.value.hint
    assert "Testing" in caught.value.hint
    assert world.authority.renewals == 1


async def test_a_wrong_client_is_told_apart_from_a_lost_grant(world: World, google: Authority, asking: Asking) -> None:
    for wrong in (replace(google, client_id="nobody"), replace(google, client_secret="wrong")):
        tokens = asking(wrong)
        with pytest.raises(GrantRefused) as caught:
            await tokens.token(mailbox(world))
        assert caught.value.why is Why.CLIENT
        assert "oauth.google.client_id" in caught.value.hint


async def test_both_doors_open_with_one_token(world: World, doors: Doors) -> None:
    ann = mailbox(world)
    async with doors.smtp(ann) as sending, doors.imap(ann) as reading:
        assert sending.usable
        assert "INBOX" in [folder.name for folder in await reading.folders()]
    assert world.authority.renewals == 1
    await doors.close()


@pytest.mark.parametrize("door", ["smtp", "imap"])
async def test_a_token_that_ended_early_is_renewed_once_and_the_door_opens(
    world: World, doors: Doors, boot: Boot, door: str
) -> None:
    ann = mailbox(world)
    opened: Callable[[Mailbox], object] = getattr(doors, door)
    async with opened(ann):  # type: ignore[attr-defined]
        pass
    await doors.forget(ann.id)
    world.authority.outdate()
    boot.seconds += 120
    async with opened(ann):  # type: ignore[attr-defined]
        pass
    assert world.authority.renewals == 2
    await doors.close()


@pytest.mark.parametrize("door", ["smtp", "imap"])
async def test_a_fresh_token_that_is_refused_is_not_tried_a_second_time(world: World, doors: Doors, door: str) -> None:
    stranger = replace(mailbox(world), username="bob@mail.test")
    with pytest.raises(CredentialsRefused) as caught:
        async with getattr(doors, door)(stranger):
            pass
    assert "sign in again as bob@mail.test itself" in caught.value.hint
    assert world.authority.renewals == 1
    await doors.close()


async def test_a_refused_token_shows_nowhere(world: World, network: Network) -> None:
    secret = "access.not/one+of=theirs"
    login = Login(username=world.user, secret=secret, sign_in=SignIn.XOAUTH2)
    with pytest.raises(CredentialsRefused) as caught:
        await open_smtp(mailbox(world).smtp, login, helo="mail.test", network=network)
    assert not any(form in str(caught.value) + caught.value.hint for form in login.secrets)


async def test_an_authority_that_cannot_be_believed_gets_nothing(world: World, asking: Asking) -> None:
    tokens = asking(network=Network())
    before = len(world.authority.asked)
    with pytest.raises(Exception, match="certificate"):
        await tokens.token(mailbox(world))
    assert len(world.authority.asked) == before


async def test_plain_http_reaches_loopback(world: World, google: Authority, asking: Asking) -> None:
    plain = replace(google, token_endpoint=world.url("/token", scheme="http"))
    tokens = asking(plain)
    assert world.authority.owner(await tokens.token(mailbox(world))) == world.user


@pytest.mark.parametrize(
    ("path", "failure", "words"),
    [
        ("/broken", Unavailable, "HTTP 503"),
        ("/moved", Exception, "HTTP 302"),
        ("/page", Exception, "no token"),
        ("/nowhere", Exception, "HTTP 404"),
        ("/endless", Exception, "more than"),
    ],
)
async def test_an_endpoint_that_is_none_is_no_lost_grant(
    world: World, google: Authority, asking: Asking, path: str, failure: type[Exception], words: str
) -> None:
    wrong = replace(google, token_endpoint=world.url(path))
    tokens = asking(wrong)
    with pytest.raises(failure, match=words) as caught:
        await tokens.token(mailbox(world))
    assert not isinstance(caught.value, GrantRefused)


async def test_an_authority_nobody_answers_at_is_unreachable(world: World, google: Authority, asking: Asking) -> None:
    nowhere = replace(google, token_endpoint="https://127.0.0.1:1/token")
    tokens = asking(nowhere)
    with pytest.raises(Unreachable):
        await tokens.token(mailbox(world))
