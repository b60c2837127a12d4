"""What a verb itself finds wrong, and the exit codes of the contract (sysexits.h where it has a word for it)."""

from enum import IntEnum, unique


@unique
class Exit(IntEnum):
    """The exit codes scripts may rely on (CONTRACT, Everywhere)."""

    DONE = 0
    FOUND_WRONG = 1
    WRONG_USAGE = 2
    BAD_INPUT = 65
    UNREACHABLE = 69
    BUG = 70
    DISK = 74
    TRY_LATER = 75
    REFUSED = 77
    BAD_CONFIG = 78


class Fault(Exception):
    """Ends a verb: `what` happened, the `fix`, and the exit code. One line, nothing saved."""

    def __init__(self, what: str, fix: str = "", *, code: Exit) -> None:
        super().__init__(f"{what}; {fix}" if fix else what)
        self.what = what
        self.fix = fix
        self.code = code


def bad_input(what: str, fix: str = "") -> Fault:
    """A value that will not do."""
    return Fault(what, fix, code=Exit.BAD_INPUT)


def wrong_usage(what: str, fix: str = "") -> Fault:
    """Options that do not go together, or one that is missing."""
    return Fault(what, fix, code=Exit.WRONG_USAGE)
