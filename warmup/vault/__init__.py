"""Secrets sealed at rest, and the key that seals them: `seals` has the vault, `keyfile` the file the key is in.

A process that opens the vault leaves no core behind (`dumps`).
"""

from warmup.vault.errors import (
    KeyBusy,
    KeyMissing,
    KeyUnusable,
    SealBroken,
    SecretBoundElsewhere,
    VaultError,
)
from warmup.vault.keyfile import CREDENTIAL, KeyFile, create_key_file, has_key, new_key
from warmup.vault.seals import OAUTH, Vault

__all__ = [
    "CREDENTIAL",
    "OAUTH",
    "KeyBusy",
    "KeyFile",
    "KeyMissing",
    "KeyUnusable",
    "SealBroken",
    "SecretBoundElsewhere",
    "Vault",
    "VaultError",
    "create_key_file",
    "has_key",
    "new_key",
]
