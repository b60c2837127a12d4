"""Refresh tokens between vault, ledger and authority: sealed here, opened here, and renewed through here.

A grant is bound to three hosts: the one it is renewed at, and the two mail servers that its access tokens are shown to.
So nobody gets a token by editing a host in the ledger, or an endpoint in the configuration.
"""

from collections.abc import Callable
from dataclasses import replace

from warmup.clock import Clock
from warmup.config import ConfigError, Settings, authority_of
from warmup.ledger.enrolled import NewMailbox
from warmup.ledger.ledger import Ledger
from warmup.ledger.mailboxes import SealedGrant
from warmup.policy.authority import Authority, AuthorityName
from warmup.policy.mailbox import Mailbox
from warmup.vault import Vault
from warmup.wire.errors import CredentialsRefused, GrantRefused, Why
from warmup.wire.network import Network
from warmup.wire.tokens import AccessTokens, Grant


def sealed_grant(vault: Vault, mailbox: NewMailbox | Mailbox, authority: Authority, refresh_token: str) -> SealedGrant:
    """The refresh token as the ledger keeps it."""
    empty = SealedGrant(authority=authority.name, host=authority.host, sealed=b"")
    sealed = vault.seal(
        refresh_token, mailbox=mailbox.address, protocol=empty.protocol, host=_bound(mailbox, authority)
    )
    return SealedGrant(authority=authority.name, host=authority.host, sealed=sealed)


def access_tokens(ledger: Ledger, vault: Vault, settings: Settings, *, network: Network, clock: Clock) -> AccessTokens:
    """The access tokens of all mailboxes that sign in with OAuth 2.0."""

    async def read(mailbox: Mailbox) -> Grant:
        kept = await ledger.mailboxes.grant(mailbox.id)
        if kept is None:
            raise CredentialsRefused(
                f"no password is kept for {mailbox.address}",
                hint=f"warmup mailbox set {mailbox.address} --password-stdin",
            )
        return _opened(kept, mailbox)

    async def keep(mailbox: Mailbox, grant: Grant, refresh_token: str) -> Grant:
        authority = find(grant.authority)
        with vault.held():
            before = SealedGrant(authority=grant.authority, host=authority.host, sealed=grant.version)
            after = sealed_grant(vault, mailbox, authority, refresh_token)
            kept = await replaced(
                ledger, mailbox, before, after, lambda now: _opened(now, mailbox) == replace(grant, version=now.sealed)
            )
        return Grant(authority=grant.authority, refresh_token=refresh_token, version=after.sealed) if kept else grant

    def find(name: AuthorityName) -> Authority:
        try:
            return authority_of(settings.oauth, name)
        except ConfigError as missing:
            raise GrantRefused(str(missing), why=Why.CLIENT) from missing

    def _opened(kept: SealedGrant, mailbox: Mailbox) -> Grant:
        token = vault.unseal(
            kept.sealed,
            mailbox=mailbox.address,
            protocol=kept.protocol,
            host=_bound(mailbox, find(kept.authority)),
        )
        return Grant(authority=kept.authority, refresh_token=token, version=kept.sealed)

    return AccessTokens(network=network, authority=find, read=read, keep=keep, elapsed=clock.elapsed)


async def replaced(
    ledger: Ledger, mailbox: Mailbox, before: SealedGrant, after: SealedGrant, same: Callable[[SealedGrant], bool]
) -> bool:
    """Put `after` in the place of `before`, or of the `same` grant that another key has sealed (`secrets rotate`)."""
    while not await ledger.mailboxes.rotate_grant(mailbox.id, before, after):
        now = await ledger.mailboxes.grant(mailbox.id)
        if now is None or now.sealed == before.sealed or not same(now):
            return False
        before = now
    return True


def _bound(mailbox: NewMailbox | Mailbox, authority: Authority) -> str:
    return f"{authority.host} {mailbox.smtp.host} {mailbox.imap.host}"
