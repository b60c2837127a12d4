"""What every verb is given: the global options, and from them the configuration in force.

A verb takes `ctx: typer.Context` and asks `invocation(ctx)`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

if TYPE_CHECKING:
    from warmup.config import Loaded


@unique
class LogLevel(StrEnum):
    """How much is said on stderr."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(slots=True, kw_only=True)
class Invocation:
    """One call of the command. `config` None: searched for; `log_level` None: the configuration's."""

    environ: Mapping[str, str]
    config: Path | None = None
    log_level: LogLevel | None = None

    def load(self) -> "Loaded":
        """The configuration in force, with log lines set up as it says; raises ConfigError."""
        from warmup.cli.logs import set_up_logs
        from warmup.config import load

        loaded = load(self.config, self.environ)
        log = loaded.settings.log
        set_up_logs(level=self.log_level or log.level, form=log.format)
        return loaded


def invocation(ctx: typer.Context) -> Invocation:
    """The invocation a verb runs in."""
    return cast("Invocation", ctx.obj)
