"""Files as a disk has them: what was synced is there, and of what was not, any part may be.

Built from a trace of every write, sync, truncation and creation. The model is that of POSIX and no kinder: writes that
no fsync(2) or fdatasync(2) followed reach the disk in any order or not at all, and in whole sectors only; a new file's
name is there for certain once its folder was synced.
"""

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

SECTOR: Final = 512
TRACED: Final = "trace=openat,write,pwrite64,ftruncate,fsync,fdatasync,unlink,rename"
"""What strace has to record, with -f -y -ttt -xx and strings of any length."""

_LINE = re.compile(r"^(\d+)\s+([\d.]+) (.*)$")
_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"^<\.\.\. \w+ resumed>(.*)$")
_FILE = re.compile(r"^(\w+)\(\d+<([^>]*)>(?:, )?(.*)\)\s+= (-?\d+)")
_OPENED = re.compile(r"^openat\(.*O_CREAT.*\)\s+= \d+<([^>]*)>")
_NAMED = re.compile(r'^(?:unlink|rename)\("([^"]*)".*\)\s+= 0')
_WRITTEN = re.compile(r'^"([^"]*)", (\d+)(?:, (\d+))?$')


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One call that came to its end: it began at `at` (seconds of the wall clock).

    `kind` is `write`, `truncate` (to `offset` bytes), `sync` or `create`.
    """

    at: float
    kind: str
    path: str
    offset: int = 0
    data: bytes = b""


def events_in(log: Path) -> Iterator[Event]:
    """The events of a trace, in the order in which the calls ended; ValueError for a call that this model lacks."""
    begun: dict[str, tuple[float, str]] = {}
    with log.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            match = _LINE.match(line)
            if match is None:
                continue
            thread, at, text = match[1], float(match[2]), match[3]
            if text.endswith(_UNFINISHED):
                begun[thread] = at, text.removesuffix(_UNFINISHED)
                continue
            if rest := _RESUMED.match(text):
                at, head = begun.pop(thread)
                text = head + rest[1]
            event = _event(at, text)
            if event is not None:
                yield event


def _event(at: float, text: str) -> Event | None:
    if match := _OPENED.match(text):
        return Event(at=at, kind="create", path=_plain(match[1]))
    if match := _NAMED.match(text):
        raise ValueError(f"{_plain(match[1])} was renamed or removed while it was recorded")
    match = _FILE.match(text)
    if match is None or int(match[4]) < 0:
        return None
    name, path, rest = match[1], _plain(match[2]), match[3]
    if name in ("fsync", "fdatasync"):
        return Event(at=at, kind="sync", path=path)
    if name == "ftruncate":
        return Event(at=at, kind="truncate", path=path, offset=int(rest))
    written = _WRITTEN.match(rest)
    if written is None or written[3] is None:
        return None
    data = bytes.fromhex(written[1].replace("\\x", ""))
    return Event(at=at, kind="write", path=path, offset=int(written[3]), data=data[: int(match[4])])


def _plain(text: str) -> str:
    return bytes.fromhex(text.replace("\\x", "")).decode() if text.startswith("\\x") else text


@dataclass(slots=True)
class RecordedDisk:
    """What is on the disk for certain, and what is under way. `names` are the files there were at first."""

    durable: dict[str, bytearray]
    names: set[str] = field(default_factory=set)
    waiting: dict[str, list[Event]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names |= set(self.durable)

    def see(self, event: Event) -> None:
        """Take the next event."""
        match event.kind:
            case "create":
                self.durable.setdefault(event.path, bytearray())
            case "sync":
                for waited in self.waiting.pop(event.path, ()):
                    _apply(self.durable[event.path], waited)
                self.names |= {path for path in self.durable if str(Path(path).parent) == event.path}
            case _:
                self.durable.setdefault(event.path, bytearray())
                self.waiting.setdefault(event.path, []).append(event)

    def after_a_cut(self, rng: random.Random) -> Mapping[str, bytes]:
        """The files as they may be found after the power failed now."""
        found = {}
        for path, content in self.durable.items():
            if path in self.names or rng.random() < 0.5:
                kept = bytearray(content)
                for event in _survivors(self.waiting.get(path, []), rng):
                    _apply(kept, event)
                found[path] = bytes(kept)
        return found


def _survivors(waiting: list[Event], rng: random.Random) -> Iterator[Event]:
    """The part of what was under way that got there: none, all, the first few, or any, whole or by the sector."""
    fate = rng.choice(("none", "all", "first", "any", "torn", "torn"))
    first = rng.randint(0, len(waiting))
    for index, event in enumerate(waiting):
        if fate == "torn" and event.kind == "write":
            yield from (piece for piece in _sectors(event) if rng.random() < 0.5)
        elif fate == "all" or (fate == "first" and index < first) or (fate in ("any", "torn") and rng.random() < 0.5):
            yield event


def _sectors(event: Event) -> Iterator[Event]:
    at, end = event.offset, event.offset + len(event.data)
    while at < end:
        until = min(end, (at // SECTOR + 1) * SECTOR)
        data = event.data[at - event.offset : until - event.offset]
        yield Event(at=event.at, kind="write", path=event.path, offset=at, data=data)
        at = until


def _apply(content: bytearray, event: Event) -> None:
    if event.kind == "truncate":
        del content[event.offset :]
        content.extend(bytes(max(0, event.offset - len(content))))
        return
    content.extend(bytes(max(0, event.offset - len(content))))
    content[event.offset : event.offset + len(event.data)] = event.data
