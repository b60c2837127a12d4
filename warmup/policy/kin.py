"""Which receivers are one operator's: the consumer and the business service, lanes of their own with a shared prior.

What one of the two thinks of a sender is no verdict of the other, but the best guess at it until that has spoken.
"""

from collections.abc import Mapping
from typing import Final, TypeVar

OPERATORS: Final = {
    "gmail": "google",
    "workspace": "google",
    "outlook": "microsoft",
    "microsoft365": "microsoft",
}

Value = TypeVar("Value")


def related(lanes: Mapping[str, Value], receiver: str) -> tuple[list[Value], list[Value]]:
    """What a mailbox's other lanes have: those to services of the operator of `receiver`, and all the rest."""
    operator = OPERATORS.get(receiver)
    kin = {name for name in lanes if operator is not None and OPERATORS.get(name) == operator} - {receiver}
    return (
        [value for name, value in lanes.items() if name in kin],
        [value for name, value in lanes.items() if name not in kin and name != receiver],
    )
