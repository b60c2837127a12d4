"""What is wrong with a configuration, in lines a person can act on: the key, what is wrong, where it was said."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError


class ConfigError(Exception):
    """The configuration cannot be used. `mistakes` holds all of them, one line each, at least one."""

    def __init__(self, mistakes: tuple[str, ...]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "…"?` where something like `word` is known, else nothing."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else ""


def mistakes_of(error: ValidationError, model: type[BaseModel], origins: Mapping[str, str]) -> tuple[str, ...]:
    """One line for each thing `error` found wrong in `model`."""
    return tuple(_line(found, model, origins) for found in error.errors(include_url=False, include_context=False))


def _line(found: Mapping[str, Any], model: type[BaseModel], origins: Mapping[str, str]) -> str:
    path = [str(part) for part in found["loc"]]
    key = ".".join(path)
    if found["type"] == "extra_forbidden":
        what = f"unknown key{did_you_mean(path[-1], _keys_beside(path, model))}"
    else:
        what = f"{_said(found)}{_shown(found, key)}"
    origin = origins.get(key) or next((told for known, told in origins.items() if known.startswith(f"{key}.")), "")
    return f"{key}: {what}" + (f" ({origin})" if origin else "")


def _said(found: Mapping[str, Any]) -> str:
    text = str(found["msg"]).removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _shown(found: Mapping[str, Any], key: str) -> str:
    # A ledger URL may hold a password; our own checks name the value where it helps.
    if (
        found["type"] == "value_error"
        or key == "ledger.url"
        or not isinstance(found["input"], str | int | float | list)
    ):
        return ""
    return f", got {found['input']!r}"


def _keys_beside(path: list[str], model: type[BaseModel]) -> list[str]:
    """The keys that are known where the last of `path` stands."""
    for part in path[:-1]:
        field = model.model_fields.get(part)
        inner = _model_in(field.annotation) if field is not None else None
        # A name the operator chose (providers.NAME) is no field: the model stays.
        model = inner or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in getattr(annotation, "__args__", ()) if (found := _model_in(part))), None)
