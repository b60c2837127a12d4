"""Who lives in the sandbox: providers, their accounts, and the doors to each.

Every account is submitted from and read at its own provider; mail to its domain is judged by the world's receiver that
the provider names.
"""

from dataclasses import dataclass
from pathlib import Path

from warmup.clock import seeded

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxAccount:
    """One account. `control` and `engage` are what the demo enrols it with; the world is told of them."""

    address: str
    password: str
    name: str = ""
    control: bool = False
    engage: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxProvider:
    """One provider: a domain with its own SMTP and IMAP servers.

    `receiver` names the world's receiver for mail to `domain`. With `files_sent` the server puts a copy of submitted
    mail into Sent, as Gmail does. It takes `enforced_limit` messages in any 24 hours from an account, None: any number.
    `authserv_id` is the name it signs its Authentication-Results with, None: it adds none; `vouches` is what others see
    of mail from `domain`.
    """

    name: str
    domain: str
    receiver: str
    accounts: tuple[SandboxAccount, ...]
    files_sent: bool = False
    enforced_limit: int | None = None
    junk_folder: str = "Junk"
    sent_folder: str = "Sent"
    trash_folder: str = "Trash"
    authserv_id: str | None = None
    vouches: str = "spf=pass; dkim=pass; dmarc=pass"

    def __post_init__(self) -> None:
        strangers = [a.address for a in self.accounts if not a.address.lower().endswith(f"@{self.domain}")]
        if strangers:
            raise ValueError(f"accounts of {self.name} need an address at {self.domain}: {', '.join(strangers)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """How to reach an account: `smtp_port` wants STARTTLS, the other two are TLS from the first byte."""

    address: str
    username: str
    password: str
    smtp_port: int
    smtps_port: int
    imaps_port: int
    ca_file: Path
    host: str = LOOPBACK


def cast(
    seed: str, *, receivers: tuple[str, str, str], accounts_each: int = 3, more: int = 0
) -> tuple[SandboxProvider, ...]:
    """Three providers of `accounts_each` accounts, the last of each a control seed, judged by `receivers` in order.

    gmail.test files what it sent, outlook.test takes 12 messages in any 24 hours, corp.test does neither, nor do the
    `more` companies besides, corp2.test and so on, which are judged by the receivers in turn.
    """
    gmail, outlook, corp = receivers
    companies = [f"corp{number}" for number in range(2, 2 + more)]
    return (
        _provider("gmailtest", "gmail.test", gmail, seed, accounts_each, files_sent=True),
        _provider("outlooktest", "outlook.test", outlook, seed, accounts_each, enforced_limit=12),
        _provider("corptest", "corp.test", corp, seed, accounts_each),
        *(
            _provider(f"{name}test", f"{name}.test", receivers[number % 3], seed, accounts_each)
            for number, name in enumerate(companies)
        ),
    )


_NAMES = (
    "Ada Keller",
    "Ben Moreau",
    "Clara Ortiz",
    "David Lang",
    "Eva Rossi",
    "Finn Weber",
    "Greta Silva",
    "Hugo Blum",
)


def _provider(
    name: str,
    domain: str,
    receiver: str,
    seed: str,
    count: int,
    *,
    files_sent: bool = False,
    enforced_limit: int | None = None,
) -> SandboxProvider:
    return SandboxProvider(
        name=name,
        domain=domain,
        receiver=receiver,
        accounts=tuple(_account(domain, seed, number, control=number == count - 1) for number in range(count)),
        files_sent=files_sent,
        enforced_limit=enforced_limit,
    )


def _account(domain: str, seed: str, number: int, *, control: bool) -> SandboxAccount:
    name = _NAMES[number % len(_NAMES)]
    local = name.split()[0].lower() + ("" if number < len(_NAMES) else str(number // len(_NAMES) + 1))
    address = f"{local}@{domain}"
    password = f"{seeded(seed, 'password', address).getrandbits(64):016x}"
    return SandboxAccount(address=address, password=password, name=name, control=control, engage=not control)
