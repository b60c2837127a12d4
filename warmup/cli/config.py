"""`warmup config`: what is in force and who said so, with secrets masked; and whether it will do."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from warmup.cli.invocation import invocation
from warmup.cli.output import Json, print_json
from warmup.config import ConfigError, Loaded
from warmup.config.example import toml_value

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Show what is in force, and check it.")

# SQLAlchemy takes everything up to the last @ for the password, slashes too; libpq takes one as a parameter as well.
_URL_PASSWORD = re.compile(r"(?<=://)([^/@:]*):.*@", re.DOTALL)
_PARAMETER_PASSWORD = re.compile(r"(?<=[?&])(\w*password)=[^&]*")


@app.command()
def show(
    ctx: typer.Context,
    json: Json = False,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value came from.")] = False,
) -> None:
    """Print every setting in force; secrets masked."""
    loaded = invocation(ctx).load()
    settings = list(_in_force(loaded))
    if json:
        lines = [{"key": key, "value": value, "origin": loaded.origins[key]} for key, value in settings]
        print_json("config-show", {"path": loaded.path, "settings": lines})
        return
    tables: dict[str, list[str]] = {}
    for key, value in settings:
        table, _, name = key.rpartition(".")
        line = f"{name} = {toml_value(value)}"
        tables.setdefault(table, []).append(f"{line:<46} # {loaded.origins[key]}" if origin else line)
    typer.echo("\n\n".join("\n".join([f"[{table}]", *lines]) for table, lines in tables.items()))


@app.command()
def check(ctx: typer.Context, json: Json = False) -> None:
    """Only check the configuration; every mistake is listed, and exits 78 where there is one."""
    here = invocation(ctx)
    try:
        loaded = here.load()
        missing = tuple(_missing_files(loaded))
        if missing:
            raise ConfigError(missing)
    except ConfigError as error:
        if json:
            print_json("config-check", {"path": here.config, "mistakes": error.mistakes})
        raise
    if json:
        print_json("config-check", {"path": loaded.path, "mistakes": []})
    else:
        typer.echo(f"{loaded.path or 'the default configuration'} is sound")


def _in_force(loaded: Loaded) -> Iterator[tuple[str, Any]]:
    for key, value in _flat(loaded.settings.model_dump(mode="json")):
        # What a provider does not say has no word in TOML; elsewhere the empty text means nothing.
        if value is not None or not key.startswith("providers."):
            yield key, _masked(value) if key == "ledger.url" else value


def _masked(url: str) -> str:
    return _PARAMETER_PASSWORD.sub(r"\1=***", _URL_PASSWORD.sub(r"\1:***@", url))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _missing_files(loaded: Loaded) -> Iterator[str]:
    settings = loaded.settings
    named: tuple[tuple[str, Path | None], ...] = (
        ("http.token_file", settings.http.token_file),
        ("network.ca_file", settings.network.ca_file),
        ("content.folder", settings.content.folder),
        ("oauth.google.client_secret_file", settings.oauth.google.client_secret_file),
        ("oauth.microsoft.client_secret_file", settings.oauth.microsoft.client_secret_file),
    )
    for key, path in named:
        if path is not None and not path.exists():
            yield f"{key}: there is nothing at {path} ({loaded.origins[key]})"
