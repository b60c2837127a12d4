"""Finding the configuration, reading it from its three places, and telling which place each value came from.

The environment wins over the folder of secrets, that over the file, that over the defaults. A value of the environment
is text; a list is written with commas, or as JSON.
"""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    TomlConfigSettingsSource,
)

from warmup.config.mistakes import ConfigError, mistakes_of
from warmup.config.settings import Settings

PREFIX = "WARMUP__"

# Keys whose value is a path, relative to the file's folder.
_PATHS = (
    ("vault", "key_file"),
    ("http", "token_file"),
    ("network", "ca_file"),
    ("content", "folder"),
    ("oauth", "google", "client_secret_file"),
    ("oauth", "microsoft", "client_secret_file"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What is in force. `path` is the file, None: there is none; `origins` says of each dotted key who set it."""

    settings: Settings
    path: Path | None
    origins: Mapping[str, str]


def config_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read: the one named, else the first there is. ConfigError where a named one is not there."""
    named = path or (Path(environ["WARMUP_CONFIG"]) if environ.get("WARMUP_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise ConfigError((f"there is no configuration file {named}; make one with `warmup init`",))
        return named
    home = Path(environ.get("HOME") or "~").expanduser()
    places = (Path("config.toml"), home / ".config/warmup/config.toml", Path("/etc/warmup/config.toml"))
    return next((place for place in places if place.is_file()), None)


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    """The settings in force. ConfigError lists every mistake there is.

    `environ` None: the process's own. Relative paths stand against the file's folder, without a file the present one.
    """
    environ = os.environ if environ is None else environ
    found = config_file(path, environ)
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for source, origin in _sources(found, environ):
        values = _asked(source, origin)
        _merge(merged, values)
        _tell_origins(origins, values, origin)
    _resolve_paths(merged, (found.parent if found is not None else Path()).absolute())
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        raise ConfigError(mistakes_of(error, Settings, origins)) from None
    everything = dict.fromkeys(_flat(settings.model_dump()), "default")
    return Loaded(settings=settings, path=found, origins=everything | origins)


class _EnvironmentSource(PydanticBaseSettingsSource):
    """`WARMUP__SECTION__KEY`, also where no such section is: an unknown key must be said, not passed over."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._environ = environ

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, text in self._environ.items():
            if name.upper().startswith(PREFIX):
                value: Any = _value(text)
                for part in reversed(name[len(PREFIX) :].lower().split("__")):
                    value = {part: value}
                _merge(found, value)
        return found


def _value(text: str) -> Any:
    if text[:1] in "[{" and text:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _sources(path: Path | None, environ: Mapping[str, str]) -> Iterator[tuple[PydanticBaseSettingsSource, str]]:
    """Weakest first."""
    try:
        if path is not None:
            yield TomlConfigSettingsSource(Settings, toml_file=path), str(path)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as mistake:
        raise ConfigError((f"{path} is not TOML: {mistake}",)) from mistake
    except OSError as failure:
        raise ConfigError((f"{path} cannot be read: {failure.strerror}",)) from failure
    folder = environ.get("WARMUP_SECRETS_DIR")
    if folder:
        yield _secrets(Path(folder)), "secret file"
    yield _EnvironmentSource(Settings, environ), "environment"


def _secrets(folder: Path) -> PydanticBaseSettingsSource:
    if not folder.is_dir():
        raise ConfigError((f"WARMUP_SECRETS_DIR names {folder}, which is no folder",))
    files = SecretsSettingsSource(Settings, secrets_dir=folder)
    return NestedSecretsSettingsSource(files, secrets_dir=folder, secrets_nested_delimiter="__")


def _asked(source: PydanticBaseSettingsSource, origin: str) -> dict[str, Any]:
    try:
        return source()
    except (ValueError, OSError) as mistake:
        raise ConfigError((f"{origin}: {mistake}",)) from mistake


def _tell_origins(origins: dict[str, str], values: Mapping[str, Any], origin: str) -> None:
    for key in _flat(values):
        said = origins[key] = _origin_of(key, origin)
        # A value that was one key and is a table now is so by whoever wrote into it last.
        parts = key.split(".")
        origins.update({above: said for n in range(1, len(parts)) if (above := ".".join(parts[:n])) in origins})


def _origin_of(key: str, origin: str) -> str:
    return f"environment {PREFIX}{key.upper().replace('.', '__')}" if origin == "environment" else origin


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _resolve_paths(values: dict[str, Any], folder: Path) -> None:
    for *sections, key in _PATHS:
        table: Any = values
        for section in sections:
            table = table.get(section, {}) if isinstance(table, dict) else {}
        if isinstance(table, dict) and isinstance(table.get(key), str) and table[key]:
            table[key] = str(folder / table[key])
    vault = values.setdefault("vault", {})
    if isinstance(vault, dict):
        vault.setdefault("key_file", str(folder / "warmup.key"))
    ledger = values.setdefault("ledger", {})
    if isinstance(ledger, dict):
        url = ledger.setdefault("url", "sqlite:///warmup.db")
        if isinstance(url, str) and url.startswith("sqlite:///") and url not in ("sqlite:///", "sqlite:///:memory:"):
            ledger["url"] = f"sqlite:///{folder / url.removeprefix('sqlite:///')}"
