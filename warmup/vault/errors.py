"""What can be wrong with the key, or with what it sealed.

VaultError
├── KeyMissing             there is no key
├── KeyUnusable            others may read it, it is no key, or it cannot be replaced
├── KeyBusy                a process that seals with it goes on for too long
├── SealBroken             sealed with another key, or altered
└── SecretBoundElsewhere   sealed for another mailbox, protocol, host or purpose
"""


class VaultError(Exception):
    """A secret or the key could not be used; the text says what happened and what to do."""


class KeyMissing(VaultError):
    """There is no key at that place."""


class KeyUnusable(VaultError):
    """The file is no key, others than its owner may read it, or it cannot be written."""


class KeyBusy(VaultError):
    """Somebody is sealing a secret with the key, and it cannot be replaced meanwhile."""


class SealBroken(VaultError):
    """What was sealed cannot be opened with this key."""


class SecretBoundElsewhere(VaultError):
    """What was sealed is for something else than it was asked for."""
