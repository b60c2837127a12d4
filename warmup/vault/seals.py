"""Secrets sealed at rest, each bound to the mailbox, the protocol and the host it is for.

A secret that is unsealed for another host than it was sealed for is not given out: who changes a host has to say the
secret again, so nobody can send a password to a server of their own by editing the ledger. A vault goes on when its key
is replaced: what it cannot open, it tries again with what is in the file by then, and what it seals, it seals while it
holds the file.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hmac import compare_digest
from pathlib import Path
from typing import Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from warmup.vault.dumps import forbid_core_dumps
from warmup.vault.errors import SealBroken, SecretBoundElsewhere, VaultError
from warmup.vault.keyfile import KeyFile

# What the protocol of a refresh token begins with.
OAUTH = "oauth-"


class Vault:
    """Seals and unseals with the newest key first. Its repr shows nothing."""

    __slots__ = ("_fernet", "_file", "_holds", "_newest", "_state")

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        """`keys` are Fernet keys, newest first, at least one; ValueError."""
        self._file: KeyFile | None = None
        self._state: tuple[int, int, int] | None = None
        self._holds = 0
        self._newest = Fernet(keys[0])
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    @classmethod
    def open(cls, key_file: Path, environ: Mapping[str, str]) -> Self:
        """The vault of this installation; whoever opens it dumps no core. Raises KeyMissing, KeyUnusable."""
        forbid_core_dumps()
        file = KeyFile.find(key_file, environ)
        # Before it is read: what is put there in between is noticed.
        state = file.state()
        vault = cls(file.read())
        vault._file, vault._state = file, state
        return vault

    @property
    def is_credential(self) -> bool:
        """True where the key is systemd's copy: it stays as it is for as long as this process runs."""
        return self._file is not None and self._file.is_credential

    @contextmanager
    def held(self) -> Iterator[None]:
        """Sealing is for in here, until what was sealed is kept: the key is the newest one, and nobody replaces it.

        Raises KeyMissing, KeyUnusable.
        """
        if self._file is None:
            yield
            return
        with self._file.held() as keys:
            self._take(keys)
            self._holds += 1
            try:
                yield
            finally:
                self._holds -= 1

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

    def resealed(self, sealed: bytes) -> bytes | None:
        """What `sealed` holds, sealed with the newest key; None where it is so already. Raises SealBroken."""
        try:
            self._newest.decrypt(sealed)
        except InvalidToken:
            pass
        else:
            return None
        try:
            return self._fernet.rotate(sealed)
        except InvalidToken:
            raise SealBroken("it was sealed with another key; put the right key file back") from None

    def _sealed(self, secret: str, bound: list[str]) -> bytes:
        assert self._file is None or self._holds, "sealed while the key may be replaced: hold the vault"
        return self._fernet.encrypt(json.dumps({"bound": bound, "secret": secret}).encode())

    def _unsealed(self, sealed: bytes, bound: list[str], *, what: str, fix: str) -> str:
        try:
            payload = json.loads(self._decrypted(sealed))
        except InvalidToken:
            raise SealBroken(f"{what} was sealed with another key; put the right key file back, or {fix}") from None
        if not compare_digest(json.dumps(payload["bound"]).encode(), json.dumps(bound).encode()):
            raise SecretBoundElsewhere(f"{what} was sealed for another use; {fix}")
        return str(payload["secret"])

    def _decrypted(self, sealed: bytes) -> bytes:
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            if not self._was_replaced():
                raise
        return self._fernet.decrypt(sealed)

    def _was_replaced(self) -> bool:
        """True where the file is another one than was read, and can be read: then its keys are ours."""
        if self._file is None or self._file.state() in (None, self._state):
            return False
        try:
            self._state, keys = self._file.state(), self._file.read()
        except VaultError:
            return False
        self._take(keys)
        return True

    def _take(self, keys: tuple[bytes, ...]) -> None:
        """Seal with the first of `keys`. What was the newest still opens: a secret may have been read just before."""
        before = self._newest
        self._newest = Fernet(keys[0])
        self._fernet = MultiFernet([*(Fernet(key) for key in keys), before])

    def __repr__(self) -> str:
        return "Vault(…)"


def _login(mailbox: str, protocol: str, host: str) -> list[str]:
    return ["login", mailbox.casefold(), protocol, host.casefold()]
