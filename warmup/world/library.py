"""The nine worlds of MODEL.md, shipped as TOML files of the same form as anybody's own."""

import tomllib
from importlib.resources import files

from warmup.world.world import World, read_world

WORLD_NAMES = (
    "gentle",
    "strict",
    "volume-shy",
    "turning",
    "greylisting",
    "black-friday",
    "new-domain",
    "flattering",
    "mixed",
)


class WorldUnknown(LookupError):
    """No built-in world has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no world {name!r}; choose from {', '.join(WORLD_NAMES)}")


def built_in(name: str) -> World:
    """The built-in world of that name. Raises WorldUnknown."""
    if name not in WORLD_NAMES:
        raise WorldUnknown(name)
    return read_world(tomllib.loads((files(__package__) / "worlds" / f"{name}.toml").read_text("utf-8")))
