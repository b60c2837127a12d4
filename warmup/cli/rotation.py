"""A new key for every sealed secret, in an order that may be cut off anywhere.

1. The new key takes its place before the old one in the key file: whoever reads the file now opens with both.
2. Every secret is sealed anew, a thousand at a time, each only if it is still the one that was read.
3. When a pass finds none that the new key does not open, the old key leaves the file.

At no point is there a secret on the disk that the key file on the disk does not open. A file of several keys is the
mark of a rotation that was cut off (or of an old key put back for an old backup): the next one makes no key, it ends
what was begun.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from warmup.cli.faults import Exit, Fault
from warmup.ledger import Ledger
from warmup.vault import KeyBusy, KeyFile, SealBroken, Vault, new_key

_BATCH = 1000
_SHOWN = 3

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """What came of it: how many secrets were sealed anew, where the key is, and whether it was made just now."""

    secrets: int
    path: Path
    is_new: bool


async def rotated(ledger: Ledger, file: KeyFile) -> Rotated:
    """Seal everything with a new key, or end what an earlier call began. Raises Fault, VaultError, LedgerError."""
    await _check_all_open(ledger, Vault(file.read()))
    with file.alone() as keys:
        is_new = len(keys) == 1
        if is_new:
            keys = (new_key(), *keys)
            file.replace(keys)

    vault, ours = Vault(keys), set[bytes]()
    while await _pass(ledger, vault, ours):
        pass

    with file.alone() as now:
        if now[0] != keys[0]:
            raise KeyBusy(f"{file.path} was replaced meanwhile; run `warmup secrets rotate` again")
        file.replace(keys[:1])
    return Rotated(secrets=len(ours), path=file.path, is_new=is_new)


async def _check_all_open(ledger: Ledger, vault: Vault) -> None:
    """Nothing where every secret opens; a Fault (78) where one does not, since it would be lost with the old key."""
    broken = sorted({one.address for one in await ledger.mailboxes.sealed() if not _opens(vault, one.sealed)})
    identity = (await ledger.installation.get()).identity_key_sealed
    if identity is not None and not _opens(vault, identity):
        raise Fault(
            "the ledger was sealed with another key",
            "put the right key file back, as a second line of the present one if both are needed",
            code=Exit.BAD_CONFIG,
        )
    if broken:
        more = f" and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
        raise Fault(
            f"the secrets of {', '.join(broken[:_SHOWN])}{more} were sealed with a key that is not in the key file",
            f"add that key to it as a last line, or say the password again: warmup mailbox set {broken[0]}"
            " --password-stdin",
            code=Exit.BAD_CONFIG,
        )


async def _pass(ledger: Ledger, vault: Vault, ours: set[bytes]) -> bool:
    """Seal with the newest key what is not yet, and remember it in `ours`; False where nothing was left to seal."""
    before = len(ours)
    identity = (await ledger.installation.get()).identity_key_sealed
    anew = vault.resealed(identity) if identity is not None else None
    if identity is not None and anew is not None:
        await ledger.installation.reseal_identity_key(identity, anew)
        ours.add(anew)
    kept = [one for one in await ledger.mailboxes.sealed() if one.sealed not in ours]
    for batch in _batches(kept, _BATCH):
        changes = [(one, after) for one in batch if (after := vault.resealed(one.sealed)) is not None]
        if changes:
            await ledger.mailboxes.reseal(changes)
            ours.update(after for _, after in changes)
    return len(ours) > before


def _opens(vault: Vault, sealed: bytes) -> bool:
    try:
        vault.resealed(sealed)
    except SealBroken:
        return False
    return True


def _batches(many: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (many[at : at + size] for at in range(0, len(many), size))
