"""What happened and what is to happen, in rows. Rows never leave this package.

`Ledger` is loaded when it is first asked for: the database library is slow to import, and errors and locks do without.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from warmup.ledger.ledger import Ledger

__all__ = ["Ledger"]


def __getattr__(name: str) -> Any:
    if name == "Ledger":
        from warmup.ledger.ledger import Ledger

        return Ledger
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
