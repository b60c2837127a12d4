"""config.example.toml, written from the model: every key, its meaning and its default."""

import json
from collections.abc import Iterator
from datetime import time
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from warmup.config.settings import ProviderSettings, Settings

_HEAD = """\
# warmup's configuration: every key there is, with its default. Delete what you do not change.
# Any key can come from the environment instead: WARMUP__SECTION__KEY, for example WARMUP__LOG__FORMAT=json.
# Paths are relative to this file. `warmup config check` checks it, `warmup config show --origin` says what is in force.
"""

# Where the default says nothing, or nothing TOML could write.
_EXAMPLE_PROVIDER: dict[str, Any] = {
    "domains": ("example.net",),
    "smtp": ("mail.example.net:587",),
    "imap": "mail.example.net:993",
    "per_minute": 30,
    "app_password_letters": 16,
    "junk_folder": "Junk",
    "sent_folder": "Sent",
    "trash_folder": "Trash",
}


def example_toml() -> str:
    """The text of config.example.toml; it loads as it stands and changes nothing."""
    parts, defaults = [_HEAD], Settings()
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            parts.extend(_tables(name, section, getattr(defaults, name)))
    parts.append(_provider())
    return "\n".join(parts)


def toml_value(value: Any) -> str:
    """`value` as TOML writes it; None is the empty text, since TOML has no word for it."""
    match value:
        case None:
            return '""'
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"{value:g}" if isinstance(value, float) and value == int(value) else str(value)
        case time():
            return f'"{value:%H:%M}"'
        case StrEnum() | Path() | str():
            return json.dumps(str(value), ensure_ascii=False)
        case dict():
            return (
                "{ " + ", ".join(f"{key} = {toml_value(inner)}" for key, inner in value.items()) + " }"
                if value
                else "{}"
            )
        case list() | tuple():
            return "[" + ", ".join(toml_value(inner) for inner in value) + "]"
        case _:
            raise TypeError(f"no TOML for {type(value).__name__}")


def _tables(path: str, section: type[BaseModel], values: BaseModel) -> Iterator[str]:
    """The table at `path`, then the tables inside it."""
    inner = {name: value for name in section.model_fields if isinstance(value := getattr(values, name), BaseModel)}
    keys = (
        _key(name, field, toml_value(getattr(values, name)))
        for name, field in section.model_fields.items()
        if name not in inner
    )
    yield f"# {section.__doc__}\n[{path}]\n{''.join(keys)}"
    for name, value in inner.items():
        yield from _tables(f"{path}.{name}", type(value), value)


def _key(name: str, field: FieldInfo, value: str) -> str:
    return f"{f'{name} = {value}':<46} # {field.description}\n"


def _provider() -> str:
    lines = [
        "# A provider of your own, or a shipped one with other values; in force once the # is taken off.",
        "# [providers.NAME]",
    ]
    for name, field in ProviderSettings.model_fields.items():
        value = _EXAMPLE_PROVIDER.get(name, field.default)
        lines.append(f"# {_key(name, field, toml_value(value))}".rstrip())
    return "\n".join(lines) + "\n"
