"""`warmup schema NAME`: the JSON Schema of what a verb prints under --json."""

from importlib.resources import files
from typing import Annotated

import typer

from warmup.cli.faults import wrong_usage
from warmup.config.mistakes import did_you_mean

app = typer.Typer(add_completion=False)


@app.command()
def schema(name: Annotated[str | None, typer.Argument(metavar="[NAME]", show_default=False)] = None) -> None:
    """Print the JSON Schema called NAME; without one, the names there are."""
    if name is None:
        for known in names():
            typer.echo(known)
        return
    typer.echo(schema_text(name), nl=False)


def names() -> tuple[str, ...]:
    """The names of all schemas, sorted."""
    files_there = (files("warmup.cli") / "schemas").iterdir()
    return tuple(sorted(file.name.removesuffix(".json") for file in files_there if file.name.endswith(".json")))


def schema_text(name: str) -> str:
    """The schema of that name; a fault where there is none."""
    if name not in names():
        raise wrong_usage(f'there is no schema "{name}"{did_you_mean(name, names())}', "warmup schema lists them")
    return (files("warmup.cli") / "schemas" / f"{name}.json").read_text(encoding="utf-8")
