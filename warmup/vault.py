"""Secrets sealed at rest, each bound to the mailbox, the protocol and the host it is for.

A secret that is unsealed for another host than it was sealed for is not given out: who changes a host has to say the
secret again, so nobody can send a password to a server of their own by editing the ledger. The key comes from a systemd
credential or from a file of mode 0600. It is made by `create_key_file` and nowhere else: a missing key is an error,
because a new one would not open what the old one sealed.

    VaultError
    ├── KeyMissing             there is no key
    ├── KeyUnusable            others may read it, or it is no key
    ├── SealBroken             sealed with another key, or altered
    └── SecretBoundElsewhere   sealed for another mailbox, protocol, host or purpose
"""

import json
import os
import stat
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hmac import compare_digest
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

CREDENTIAL = "warmup.key"
# What the protocol of a refresh token begins with.
OAUTH = "oauth-"


class VaultError(Exception):
    """A secret or the key could not be used; the text says what happened and what to do."""


class KeyMissing(VaultError):
    """There is no key at that place."""


class KeyUnusable(VaultError):
    """The file is no key, or others than its owner may read it."""


class SealBroken(VaultError):
    """What was sealed cannot be opened with this key."""


class SecretBoundElsewhere(VaultError):
    """What was sealed is for something else than it was asked for."""


class Vault:
    """Seals and unseals with the newest key first. Its repr shows nothing."""

    __slots__ = ("_fernet",)

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        """`keys` are Fernet keys, newest first, at least one; ValueError."""
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    @classmethod
    def open(cls, key_file: Path, environ: Mapping[str, str]) -> "Vault":
        """The vault of this installation. Raises KeyMissing, KeyUnusable."""
        path, is_credential = _key_path(key_file, environ)
        text = _read(path, may_be_shared=is_credential)
        keys = tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith(b"#"))
        try:
            return cls(keys)
        except ValueError as reason:
            raise KeyUnusable(
                f"{path} holds no key; put the right key file back, or name it in vault.key_file"
            ) from reason

    def seal(self, secret: str, *, mailbox: str, protocol: str, host: str) -> bytes:
        """`secret`, sealed for `mailbox` (its address) to log in at `host` over `protocol`."""
        return self._sealed(secret, _login(mailbox, protocol, host))

    def unseal(self, sealed: bytes, *, mailbox: str, protocol: str, host: str) -> str:
        """The secret `sealed` holds. Raises SealBroken, SecretBoundElsewhere."""
        again = f"say the password again: warmup mailbox set {mailbox} --password-stdin"
        fix = f"sign in again: warmup oauth login {mailbox}" if protocol.startswith(OAUTH) else again
        return self._unsealed(sealed, _login(mailbox, protocol, host), what=f"the secret of {mailbox}", fix=fix)

    def seal_blob(self, blob: bytes, *, purpose: str) -> bytes:
        """`blob`, sealed for `purpose`, for example the key that signs message ids."""
        return self._sealed(b64encode(blob).decode("ascii"), ["blob", purpose])

    def unseal_blob(self, sealed: bytes, *, purpose: str) -> bytes:
        """What `sealed` holds. Raises SealBroken, SecretBoundElsewhere."""
        fix = "put the key file back that this ledger was made with"
        return b64decode(self._unsealed(sealed, ["blob", purpose], what=f"the {purpose}", fix=fix))

    def _sealed(self, secret: str, bound: list[str]) -> bytes:
        return self._fernet.encrypt(json.dumps({"bound": bound, "secret": secret}).encode())

    def _unsealed(self, sealed: bytes, bound: list[str], *, what: str, fix: str) -> str:
        try:
            payload = json.loads(self._fernet.decrypt(sealed))
        except InvalidToken:
            raise SealBroken(f"{what} was sealed with another key; put the right key file back, or {fix}") from None
        if not compare_digest(json.dumps(payload["bound"]).encode(), json.dumps(bound).encode()):
            raise SecretBoundElsewhere(f"{what} was sealed for another use; {fix}")
        return str(payload["secret"])

    def __repr__(self) -> str:
        return "Vault(…)"


def create_key_file(path: Path) -> None:
    """A new key at `path`, mode 0600, durable. Raises KeyUnusable where a file is there already or none can be made."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as reason:
        raise KeyUnusable(f"{path} is there already; a key is never replaced, use another name") from reason
    except OSError as reason:
        raise KeyUnusable(f"{path} cannot be written: {reason.strerror}; choose another vault.key_file") from reason


def has_key(key_file: Path, environ: Mapping[str, str]) -> bool:
    """True where there is a key, good or not."""
    return _key_path(key_file, environ)[0].exists()


def _login(mailbox: str, protocol: str, host: str) -> list[str]:
    return ["login", mailbox.casefold(), protocol, host.casefold()]


def _key_path(key_file: Path, environ: Mapping[str, str]) -> tuple[Path, bool]:
    folder = environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(folder) / CREDENTIAL if folder else None
    return (credential, True) if credential is not None and credential.exists() else (key_file, False)


def _read(path: Path, *, may_be_shared: bool) -> bytes:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            # systemd hands a credential out read-only for the service's user, in a folder nobody else enters.
            if mode & 0o077 and not may_be_shared:
                raise KeyUnusable(f"{path} has mode {mode:04o}, so others may read the key; run chmod 600 {path}")
            return file.read()
    except FileNotFoundError as reason:
        raise KeyMissing(
            f"there is no key at {path}; put it back from your copy, or begin with `warmup init`"
        ) from reason
    except OSError as reason:
        raise KeyUnusable(f"{path} cannot be read: {reason.strerror}; look at its owner and mode") from reason
