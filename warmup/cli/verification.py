"""Logging in to both servers of a mailbox, as the daemon will, and finding its folders. Nothing is sent or altered."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from warmup.cli.ending import code_of_wire
from warmup.cli.faults import Exit, Fault
from warmup.ledger.enrolled import NewMailbox
from warmup.mail.folder import Folder, Special, choose
from warmup.policy import advice
from warmup.policy.mailbox import Endpoint, Mailbox, Protocol, Role
from warmup.policy.provider import Provider
from warmup.wire.errors import CredentialsRefused, WireError
from warmup.wire.hints import hint_for
from warmup.wire.imap import open_imap
from warmup.wire.login import Login, SignIn
from warmup.wire.network import Network
from warmup.wire.smtp import open_smtp


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """The folders the work needs, None: not found; and what that means for it."""

    junk: str | None
    sent: str | None
    trash: str | None

    @property
    def problems(self) -> tuple[str, ...]:
        """What is missing, and the fix."""
        if self.junk is None:
            return ("no junk folder was found, so spam reads as missing: make one and run `warmup mailbox check`",)
        return ()

    def cautions(self, role: Role) -> tuple[str, ...]:
        """The same, and what an operator should know of a mailbox of that role."""
        return (*self.problems, *([advice.UNSEEN] if self.sent is None and role.sends else []))


async def verified(
    mailbox: NewMailbox | Mailbox, logins: Mapping[Protocol, Login], *, provider: Provider, network: Network
) -> Folders:
    """The folders of `mailbox`, once its logins held; a relay that takes no secret is only greeted.

    Raises Fault: 77 credentials, 69 server, 65 not our way.
    """
    domain = mailbox.address.rpartition("@")[2]
    smtp, imap = logins.get(Protocol.SMTP), logins[Protocol.IMAP]
    async with told_by(mailbox.smtp, "SMTP", smtp or imap, provider):
        sending = await open_smtp(mailbox.smtp, smtp, helo=domain, network=network)
        await sending.close()
    async with told_by(mailbox.imap, "IMAP", imap, provider):
        reading = await open_imap(mailbox.imap, imap, network=network)
        try:
            found = await reading.folders()
            await reading.examine("INBOX")
        finally:
            await reading.close()
    return chosen(found, provider)


def chosen(found: tuple[Folder, ...], provider: Provider) -> Folders:
    """The folders by the provider's word where it has one and they are there, else by special-use, else by name."""

    def named(preset: str | None, role: Special) -> str | None:
        if preset is not None and any(folder.name == preset for folder in found):
            return preset
        folder = choose(found, role)
        return folder.name if folder is not None else None

    return Folders(
        junk=named(provider.junk_folder, Special.JUNK),
        sent=named(provider.sent_folder, Special.SENT),
        trash=named(provider.trash_folder, Special.TRASH),
    )


@asynccontextmanager
async def told_by(endpoint: Endpoint, door: str, login: Login, provider: Provider) -> AsyncIterator[None]:
    """Says what goes wrong at a server as a Fault with its fix."""
    try:
        yield
    except WireError as error:
        fix = _app_password(error, login, provider) or hint_for(error, endpoint, username=login.username)
        said = str(error) if str(endpoint) in str(error) else f"{endpoint}: {error}"
        raise Fault(f"{door}: {said}", fix or "nothing was saved", code=Exit(code_of_wire(error))) from error


def _app_password(error: WireError, login: Login, provider: Provider) -> str:
    by_password = login.sign_in is SignIn.PASSWORD
    if (
        by_password
        and isinstance(error, CredentialsRefused)
        and provider.wants_app_password
        and provider.app_password_help
    ):
        return f"{provider.title} wants an app password: make one at {provider.app_password_help}"
    return ""
