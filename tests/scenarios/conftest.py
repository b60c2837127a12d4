"""Houses and towns that are closed behind every test, whatever happened in it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.scenarios.house import House, Town

OpenTown = Callable[..., Town]
BuildHouse = Callable[..., House]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the module."""
    return tmp_path_factory.mktemp("scenario")


@pytest.fixture(scope="module")
def open_town(place: Path) -> Iterator[OpenTown]:
    """Opens a mail world: `open_town("--speed", "1500", …)`."""
    with ExitStack() as stack:

        def open_one(*options: str) -> Town:
            town = Town.open(place / "town", *options)
            stack.callback(town.close)
            return town

        yield open_one


@pytest.fixture(scope="module")
def build_house(place: Path) -> Iterator[BuildHouse]:
    """Installs the program: `build_house(ca_file=…, speed=…, url=…)`."""
    with ExitStack() as stack:

        def build_one(*, ca_file: str = "", speed: float = 1.0, url: str = "sqlite:///warmup.db") -> House:
            house = House(folder=place / "house", environ={"WARMUP__REHEARSAL__SPEED": str(speed)}, url=url)
            house.install(ca_file=ca_file)
            stack.callback(house.close)
            return house

        yield build_one
