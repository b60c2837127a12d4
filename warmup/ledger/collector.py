"""Handling very many rows without Python's garbage collector looking through all of them, again and again.

It runs after every few hundred new objects, and looks the more often through all there are the more it finds alive.
Rows that become values are alive and hold no cycles: every such look is for nothing, and over a large fleet's history
they are a third of what the reading costs, and a tenth of what planning does.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_USUAL: Final = gc.get_threshold()
_SELDOM: Final = 20_000
"""New objects from one look through the young ones to the next: some milliseconds each."""


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """The collector does not run meanwhile, in any thread: for the length of one read, on the reader's thread."""
    ran = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if ran:
            gc.enable()


@contextmanager
def collector_seldom() -> Iterator[None]:
    """The collector runs seldom meanwhile, in all threads: for work that takes many seconds, and lets others work."""
    gc.set_threshold(_SELDOM, *_USUAL[1:])
    try:
        yield
    finally:
        gc.set_threshold(*_USUAL)
