"""A way to a server that a test can cut, as a broken network would, and open again."""

import selectors
import socket
import threading
from contextlib import suppress
from typing import Self


class Proxy:
    """Forwards TCP from a port of its own to `target` on loopback."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._listening = _listener(0)
        self.port: int = self._listening.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._accept()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def cut(self) -> None:
        """End every connection and take no more."""
        with self._lock:
            # Whoever waits for a connection holds the port for as long as it waits.
            with suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            for pair in self._pairs:
                for end in pair:
                    with suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)
            self._pairs.clear()

    def mend(self) -> None:
        """Take connections again."""
        self._listening = _listener(self.port)
        self._accept()

    def _accept(self) -> None:
        threading.Thread(target=self._take_all, args=[self._listening], daemon=True).start()

    def _take_all(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listening.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    near.close()
                    continue
                with self._lock:
                    self._pairs.append((near, far))
                threading.Thread(target=_carry, args=[near, far], daemon=True).start()


def _listener(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port), backlog=64)


def _carry(near: socket.socket, far: socket.socket) -> None:
    """Carry both ways until either end is closed."""
    with near, far, selectors.DefaultSelector() as ready, suppress(OSError):
        ready.register(near, selectors.EVENT_READ, far)
        ready.register(far, selectors.EVENT_READ, near)
        while True:
            for key, _ in ready.select():
                data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                if not data:
                    return
                key.data.sendall(data)
