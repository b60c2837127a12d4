"""Every patch still fits the tree, and names a scenario that there is."""

from pathlib import Path

import pytest

from tests.sabotage.__main__ import apply, copied, names, scenario_of
from tests.torture.playing import names as scenarios


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("sabotage") / "tree")


def test_there_are_patches() -> None:
    assert names()


@pytest.mark.parametrize("name", names())
def test_a_patch_fits_the_tree_and_names_a_scenario(name: str, tree: Path) -> None:
    assert scenario_of(name) in scenarios()
    apply(name, tree, check_only=True)
