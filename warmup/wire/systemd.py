"""Telling systemd how we are (sd_notify(3)): READY=1, WATCHDOG=1, STOPPING=1, RELOADING=1.

Without `$NOTIFY_SOCKET` nothing is said and nothing fails: a terminal is a fine supervisor too.
"""

import socket
from collections.abc import Mapping


class Supervisor:
    """The other end of `$NOTIFY_SOCKET`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        usec = environ.get("WATCHDOG_USEC", "")
        self.watchdog_seconds = int(usec) / 1_000_000 if usec.isdigit() else None

    def say(self, *lines: str) -> bool:
        """Send the assignments in one datagram; False where nobody listens."""
        if not self._address:
            return False
        # A leading @ is Linux's abstract namespace (sd_notify(3)).
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            try:
                sock.sendto("\n".join(lines).encode(), address)
            except OSError:
                return False
        return True
