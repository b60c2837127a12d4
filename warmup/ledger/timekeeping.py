"""How the clocks ran, in a file beside the ledger: a restart must not take a clock that was set for time that passed.

It says nothing that a lost file would spoil: without it, elapsed time is what the wall clock says, as it is anyway over
a reboot. So it is no part of a backup, and a restored ledger is not aged by it.
"""

import json
import os
from datetime import datetime, timedelta
from typing import Any, Final

from warmup.clock import Course, Leap, Leaps
from warmup.ledger.errors import LedgerFailed
from warmup.ledger.store import Store

_UNSAID_SECONDS: Final = 60.0
"""How much of a lead may be lost, in ledger seconds, before it is written down: less than the walls' margin."""


class Timekeeping:
    """Reads and writes the file."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.path = store.database.mark.with_name(store.database.mark.name + ".clock")
        self._kept: Course | None = None

    async def read(self) -> Course | None:
        """The course kept last; None where there is no file, or one that cannot be read."""
        return await self._store.aside(self._read)

    async def keep(self, course: Course | None) -> bool:
        """Keep the course, durably, if it has news; True where it had. LedgerFailed: disk."""
        if course is None or not self._is_news(course):
            return False
        await self._store.aside(self._write, course)
        self._kept = course
        return True

    def _is_news(self, course: Course) -> bool:
        kept = self._kept
        if kept is None or (kept.boot, kept.speed, kept.leaps) != (course.boot, course.speed, course.leaps):
            return True
        return kept.lead - course.lead > _UNSAID_SECONDS

    def _read(self) -> Course | None:
        try:
            said = json.loads(self.path.read_text(encoding="ascii"))
            return _course(said)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write(self, course: Course) -> None:
        draft = self.path.with_name(self.path.name + ".draft")
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(_text(course))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as failure:
            raise LedgerFailed(f"cannot write {self.path}: {failure.strerror}; look at the disk") from failure


def _text(course: Course) -> str:
    leaps = [[leap.at.isoformat(), leap.by.total_seconds()] for leap in course.leaps.known]
    return json.dumps({"boot": course.boot, "speed": course.speed, "lead": course.lead, "leaps": leaps}) + "\n"


def _course(said: dict[str, Any]) -> Course:
    leaps = tuple(Leap(datetime.fromisoformat(at), timedelta(seconds=by)) for at, by in said["leaps"])
    return Course(boot=str(said["boot"]), speed=float(said["speed"]), lead=float(said["lead"]), leaps=Leaps(leaps))
