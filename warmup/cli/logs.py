"""Where log lines go: stderr, one fact a line, logfmt or JSON, instants in UTC.

Libraries are pinned to WARNING: aioimaplib at DEBUG would write passwords (DESIGN, Chosen parts). A line that cannot be
written (stderr goes to a file on a full disk, or to a pipe nobody reads) is lost, and stops no work.
"""

import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, WrappedLogger


class _Lossy:
    """A stream for lines, on top of `stream`, that never fails."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def _event_first(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    return {"at": event.pop("at"), "level": event.pop("level"), "event": event.pop("event"), **event}


def set_up_logs(*, level: str, form: str) -> None:
    """Send log lines of `level` ("debug" … "error") and above to stderr as `form` ("logfmt" or "json")."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="level=%(levelname)s event=%(message)r")
    logging.getLogger("aioimaplib").setLevel(logging.WARNING)
    renderer = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.processors.LogfmtRenderer(bool_as_flag=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            _event_first,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Lossy(sys.stderr))),
        cache_logger_on_first_use=True,
    )
