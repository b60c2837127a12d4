"""The arrows of the circle, by name."""

from enum import StrEnum, unique


@unique
class Step(StrEnum):
    """The arrows of the circle, in the order in which a tick submits them."""

    JUDGE = "judge"
    RETIRE = "retire"
    PLAN = "plan"
    SEND = "send"
    OBSERVE = "observe"
    PRUNE = "prune"
