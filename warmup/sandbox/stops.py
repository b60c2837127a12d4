"""Points of an SMTP session at which the sandbox stops, for tests that kill the client at a point and not by luck.

One stop is set at a time. The first connection that reaches it is held there and `tell` hears of it; every other goes
on. The connection is held until `go` is asked for, or until the client is gone.
"""

import asyncio
from collections.abc import Callable
from enum import Enum, unique


@unique
class Stop(Enum):
    """Where; the value is its name on the command line. A reply that is held has been decided, and was not said."""

    GREETING = "greeting"  # connected, nothing said
    LOGIN = "login"  # the password is right, the reply is held
    MAIL = "mail"  # MAIL is read, the reply is held
    NEXT = "next"  # the same, of a message that is not the connection's first
    RCPT = "rcpt"  # RCPT is read, the reply is held
    START = "start"  # 354 is said; what has come when the client is gone is taken if it is whole
    DATA = "data"  # a part of the message is read, and never more
    DOT = "dot"  # the message is whole and not taken yet
    TAKEN = "taken"  # the message is taken, the reply is held


class Stops:
    """The stop that is set, and the connection that is held at it."""

    def __init__(self, tell: Callable[[Stop, str], None] = lambda _stop, _account: None) -> None:
        self._tell = tell
        self._set: Stop | None = None
        self._going = asyncio.Event()

    def set(self, stop: Stop) -> None:
        """Hold the next connection that comes to `stop`."""
        self._set = stop

    def go(self) -> None:
        """Let the connection that is held go on."""
        self._going.set()

    def claims(self, stop: Stop) -> bool:
        """True for the one connection that comes to `stop` first where it is set: it has to be held, and told of."""
        if self._set is not stop:
            return False
        self._set = None
        self._going = asyncio.Event()
        return True

    def tell(self, stop: Stop, account: str) -> None:
        """Tell that a connection is held at `stop`: the account's, or "" where it has not logged in."""
        self._tell(stop, account)

    async def pass_by(self, stop: Stop, account: str) -> None:
        """Return at once, or where `stop` is set once the connection may go on."""
        if self.claims(stop):
            self.tell(stop, account)
            await self._going.wait()
