"""How a secret comes in: by standard input, an environment variable, a file or a hidden prompt; never as an argument.

A password is taken as it was typed, except that app passwords are shown with spaces and used without.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import typer

from warmup.cli.faults import Fault, bad_input, wrong_usage
from warmup.policy.provider import Provider

_FIX = "use --password-stdin, --password-env VAR or --password-file FILE"
_LONGEST = 64 * 1024
# POSIX 8.1: upper case, digits and underscores, for what programs share.
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordSource:
    """Where the operator keeps the password; at most one of them is said. `text` is itself, out of an import's file."""

    stdin: bool = False
    variable: str | None = None
    file: Path | None = None
    text: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        places = (self.variable, self.file, self.text)
        if self.stdin + sum(place is not None for place in places) > 1:
            raise wrong_usage("more than one place is named for the password", "name one")

    @property
    def is_said(self) -> bool:
        """True where a place is named."""
        return self.stdin or any(place is not None for place in (self.variable, self.file, self.text))

    def read(self, *, environ: Mapping[str, str], prompt: str) -> str:
        """The password from the place named, else asked for on the terminal. Raises Fault."""
        text = self._text(environ) if self.is_said else _asked(prompt)
        secret = text.removesuffix("\n").removesuffix("\r")
        if not secret:
            raise bad_input("the password is empty", _FIX)
        if any(char in secret for char in "\0\r\n"):
            raise bad_input("the password has more than one line", "give the password alone")
        if not secret.isprintable() and any("\ud800" <= char <= "\udfff" for char in secret):
            # So undecodable bytes of an environment variable come in.
            raise bad_input("the password is not UTF-8 text", _FIX)
        return secret

    def _text(self, environ: Mapping[str, str]) -> str:
        if self.text is not None:
            return self.text
        if self.variable is not None:
            if not _VARIABLE.fullmatch(self.variable):
                # It may be the password itself that was said in the wrong place.
                raise bad_input("what --password-env names is no variable", "name one; the password is its value")
            if self.variable not in environ:
                raise bad_input(f"the environment has no variable {self.variable}", "set it, or name another")
            return environ[self.variable]
        try:
            if self.file is not None:
                with self.file.open(encoding="utf-8") as file:
                    return file.read(_LONGEST)
            return sys.stdin.read(_LONGEST)
        except (OSError, UnicodeDecodeError) as failure:
            raise _unreadable(self.file, failure) from failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """The password as `provider` wants it, and what its owner should hear before the login."""

    secret: str = field(repr=False)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def fitted(secret: str, provider: Provider) -> Fitted:
    """`secret` without an app password's spaces; a warning where it is none and the provider takes nothing else."""
    notes: tuple[str, ...] = ()
    if provider.wants_app_password and secret != (bare := "".join(secret.split())):
        secret, notes = bare, ("the app password was given with spaces; it is used without",)
    return Fitted(secret=secret, notes=notes, warnings=tuple(_doubts(secret, provider)))


def check_takes_passwords(provider: Provider) -> None:
    """Nothing where the provider takes some kind of password; a Fault where it does not."""
    if not provider.takes_passwords:
        raise bad_input(
            f"{provider.title} takes no passwords, only OAuth 2.0",
            " or ".join(f"say --oauth {name}" for name in provider.authorities),
        )


def _doubts(secret: str, provider: Provider) -> Iterator[str]:
    letters = provider.app_password_letters
    if letters is None:
        return
    if len(secret) != letters or not secret.replace("-", "").isalpha():
        where = f": make one at {provider.app_password_help}" if provider.app_password_help else ""
        yield (
            f"this is no app password ({letters} characters), and {provider.title} refuses the account's own password"
            f"{where}"
        )


def _asked(prompt: str) -> str:
    if not sys.stdin.isatty():
        raise wrong_usage("no password was given, and there is no terminal to ask on", _FIX)
    return str(typer.prompt(prompt, hide_input=True, err=True, default="", show_default=False))


def _unreadable(file: Path | None, failure: Exception) -> Fault:
    why = failure.strerror if isinstance(failure, OSError) else "it is not UTF-8 text"
    return bad_input(f"the password cannot be read from {file or 'standard input'}: {why}", _FIX)
