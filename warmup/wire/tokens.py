"""Access tokens at hand: one for each mailbox, in memory, renewed before it ends and by one unit at a time.

Whoever finds none that lasts starts a renewal, and everybody else waits for that same one. A renewal is a task of its
own: it is not cancelled with whoever waits, because a refresh token that was rotated and not stored is a mailbox
locked out. It is stored before the access token that came with it is given to anybody.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from warmup.policy.authority import Authority, AuthorityName
from warmup.policy.mailbox import Mailbox, MailboxId
from warmup.wire.errors import GrantRefused, Why
from warmup.wire.network import Network
from warmup.wire.oauth import refresh

# Before its end, so that no login is begun with a token that ends under way; a quarter of a short life.
_MARGIN = 300.0
# A token this young is not refused for its age: another one would fare no better.
_FRESH = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a mailbox's owner granted. `version` tells one kept grant from the next (the sealed bytes)."""

    authority: AuthorityName
    refresh_token: str = field(repr=False)
    version: bytes = field(repr=False)


# The grant a mailbox has now; it raises WireError where there is none that can be used.
ReadGrant = Callable[[Mailbox], Awaitable[Grant]]
# Keep a rotated refresh token in a grant's place: the grant as kept, or the old one where another is kept by now.
KeepGrant = Callable[[Mailbox, Grant, str], Awaitable[Grant]]
FindAuthority = Callable[[AuthorityName], Authority]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    token: str = field(repr=False)
    version: bytes = field(repr=False)
    since: float
    good_until: float


class AccessTokens:
    """Gives access tokens. `elapsed` is the boot clock in seconds: token lifetimes are real time."""

    def __init__(
        self,
        *,
        network: Network,
        authority: FindAuthority,
        read: ReadGrant,
        keep: KeepGrant,
        elapsed: Callable[[], float],
    ) -> None:
        self._network = network
        self._authority = authority
        self._read = read
        self._keep = keep
        self._elapsed = elapsed
        self._held: dict[MailboxId, _Held] = {}
        self._renewals: dict[MailboxId, asyncio.Task[str]] = {}

    async def token(self, mailbox: Mailbox) -> str:
        """An access token that lasts. Raises WireError: GrantRefused where nobody but a person can help."""
        running = self._renewals.get(mailbox.id)
        if running is None:
            grant = await self._read(mailbox)
            held = self._held.get(mailbox.id)
            # A grant that is another one than the token's was made by a new sign-in: the old token may be another's.
            if held is not None and held.version == grant.version and self._elapsed() < held.good_until:
                return held.token
            # While the ledger was read, somebody else may have begun.
            running = self._renewals.get(mailbox.id) or self._begin(mailbox, grant)
        return await asyncio.shield(running)

    def refused(self, mailbox: Mailbox, token: str) -> bool:
        """A server did not take `token`: forget it. True where another one is worth a try."""
        held = self._held.get(mailbox.id)
        if held is None or held.token != token:
            return True
        del self._held[mailbox.id]
        return self._elapsed() - held.since > _FRESH

    async def close(self) -> None:
        """Let renewals under way come to their end, so that nothing rotated is lost."""
        await asyncio.gather(*self._renewals.values(), return_exceptions=True)

    def _begin(self, mailbox: Mailbox, grant: Grant) -> asyncio.Task[str]:
        renewal = asyncio.ensure_future(self._renewed(mailbox, grant))
        self._renewals[mailbox.id] = renewal
        renewal.add_done_callback(lambda done: self._ended(mailbox.id, done))
        return renewal

    def _ended(self, mailbox_id: MailboxId, done: asyncio.Task[str]) -> None:
        del self._renewals[mailbox_id]
        if not done.cancelled():
            # Everybody who waited may be gone: a failure nobody hears of is heard of at the next try.
            done.exception()

    async def _renewed(self, mailbox: Mailbox, grant: Grant) -> str:
        try:
            return await self._exchange(mailbox, grant)
        except GrantRefused as refusal:
            if refusal.why is not Why.LOST:
                raise
            # Another process (`oauth login`, `mailbox check`) may have rotated or replaced it a moment ago.
            now = await self._read(mailbox)
            if now.version == grant.version:
                raise
            return await self._exchange(mailbox, now)

    async def _exchange(self, mailbox: Mailbox, grant: Grant) -> str:
        authority, began = self._authority(grant.authority), self._elapsed()
        tokens = await refresh(authority, grant.refresh_token, address=mailbox.address, network=self._network)
        good_until = began + tokens.lifetime - min(_MARGIN, tokens.lifetime / 4)
        if tokens.refresh is not None and tokens.refresh != grant.refresh_token:
            grant = await self._keep(mailbox, grant, tokens.refresh)
        self._held[mailbox.id] = _Held(token=tokens.access, version=grant.version, since=began, good_until=good_until)
        return tokens.access
