"""What proves that a mailbox is its operator's: a password, or a grant of its authority; said anew, or kept already.

`Means` is what was said on the command line. `Proof` is what comes of it: a login for each door, to be tried, and the
secrets to be kept once both held.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from warmup.cli.faults import Exit, Fault, bad_input, wrong_usage
from warmup.cli.granted import access_tokens, sealed_grant
from warmup.cli.output import say, warn
from warmup.cli.parts import Parts
from warmup.cli.password import PasswordSource, check_takes_passwords, fitted
from warmup.cli.sign_in import signed_in
from warmup.config import authority_of
from warmup.ledger.enrolled import NewMailbox
from warmup.ledger.mailboxes import Credential, Secret
from warmup.policy.authority import AuthorityName
from warmup.policy.mailbox import Mailbox, Protocol
from warmup.policy.provider import CUSTOM, Provider
from warmup.vault import Vault
from warmup.wire.login import Login, SignIn

PATIENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """How its operator means to prove a mailbox: by a password from `source`, or by signing in at `oauth`."""

    source: PasswordSource = field(default_factory=PasswordSource)
    oauth: AuthorityName | None = None
    patience: float = PATIENCE_SECONDS

    def __post_init__(self) -> None:
        if self.oauth is not None and self.source.is_said:
            raise wrong_usage("a password and --oauth are two ways to sign in", "say one of them")

    @property
    def is_said(self) -> bool:
        """True where one was named."""
        return self.oauth is not None or self.source.is_said


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A login for each door, and what is to be kept of it, sealed; nothing where it is kept already."""

    logins: Mapping[Protocol, Login]
    secrets: tuple[Secret, ...] = ()


def check_means(means: Means, provider: Provider) -> None:
    """Nothing where the provider takes that kind of sign-in; a Fault (65) where it does not."""
    if means.oauth is None:
        check_takes_passwords(provider)
    elif means.oauth not in provider.authorities and provider.name != CUSTOM:
        known = " or ".join(f"--oauth {name}" for name in provider.authorities)
        own = f'sign_in = ["{means.oauth}"] under [providers.{provider.name}], if it does'
        raise bad_input(f"{provider.title} does not sign in at {means.oauth.company}", f"use {known or own}")


async def proof_of(
    parts: Parts, means: Means, vault: Vault, mailbox: NewMailbox | Mailbox, provider: Provider
) -> Proof:
    """The proof, asked for. Raises Fault, ConfigError, WireError."""
    if means.oauth is None:
        return by_password(vault, mailbox, _password(parts, means.source, provider, mailbox.address))
    authority = authority_of(parts.settings.oauth, means.oauth)
    tokens = await signed_in(parts, authority, mailbox.address, patience=means.patience)
    assert tokens.refresh is not None
    login = Login(username=mailbox.username, secret=tokens.access, sign_in=SignIn.XOAUTH2)
    secrets = (sealed_grant(vault, mailbox, authority, tokens.refresh),)
    return Proof(logins=dict.fromkeys(mailbox.smtp_auth.protocols, login), secrets=secrets)


async def kept_proof(parts: Parts, vault: Vault, mailbox: Mailbox) -> Proof:
    """What the ledger keeps for a mailbox. Raises Fault (77), VaultError, WireError."""
    kept = await parts.ledger.mailboxes.credentials(mailbox.id)
    hosts = hosts_of(mailbox)
    if set(hosts) <= set(kept):
        secrets = {
            protocol: vault.unseal(kept[protocol].sealed, mailbox=mailbox.address, protocol=protocol.value, host=host)
            for protocol, host in hosts.items()
        }
        return Proof(logins={door: Login(username=mailbox.username, secret=secrets[door]) for door in secrets})
    if await parts.ledger.mailboxes.grant(mailbox.id) is None:
        raise Fault(
            f"no password is kept for {mailbox.address}",
            f"warmup mailbox set {mailbox.address} --password-stdin",
            code=Exit.REFUSED,
        )
    tokens = access_tokens(parts.ledger, vault, parts.settings, network=parts.network, clock=parts.clock)
    try:
        token = await tokens.token(mailbox)
    finally:
        await tokens.close()
    login = Login(username=mailbox.username, secret=token, sign_in=SignIn.XOAUTH2)
    return Proof(logins=dict.fromkeys(hosts, login))


async def kept_means(parts: Parts, mailbox: Mailbox) -> Means:
    """The way a mailbox signs in now, to be asked for again."""
    grant = await parts.ledger.mailboxes.grant(mailbox.id)
    return Means(oauth=grant.authority if grant is not None else None)


def hosts_of(mailbox: NewMailbox | Mailbox) -> dict[Protocol, str]:
    """The host of each door that takes a secret: a relay may take none."""
    hosts = {Protocol.SMTP: mailbox.smtp.host, Protocol.IMAP: mailbox.imap.host}
    return {protocol: hosts[protocol] for protocol in mailbox.smtp_auth.protocols}


def by_password(vault: Vault, mailbox: NewMailbox | Mailbox, secret: str) -> Proof:
    """The proof by a password that was said: tried at every door that takes one, and sealed for each."""
    hosts = hosts_of(mailbox)
    secrets = tuple(
        Credential(
            protocol=protocol,
            host=host,
            sealed=vault.seal(secret, mailbox=mailbox.address, protocol=protocol.value, host=host),
        )
        for protocol, host in hosts.items()
    )
    return Proof(logins=dict.fromkeys(hosts, Login(username=mailbox.username, secret=secret)), secrets=secrets)


def _password(parts: Parts, source: PasswordSource, provider: Provider, address: str) -> str:
    said = source.read(environ=parts.invocation.environ, prompt=f"Password of {address}")
    fit = fitted(said, provider)
    for note in fit.notes:
        say(note)
    for doubt in fit.warnings:
        warn(doubt)
    return fit.secret
