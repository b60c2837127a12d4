"""config.example.toml says what the model says."""

import tomllib
from pathlib import Path

from pydantic import BaseModel

from warmup.config import Settings, example_toml, load

ROOT = Path(__file__).parents[2]


def test_the_example_file_is_the_one_the_model_writes() -> None:
    assert (ROOT / "config.example.toml").read_text(encoding="utf-8") == example_toml()


def test_the_example_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(example_toml(), encoding="utf-8")
    (tmp_path / "empty.toml").touch()
    assert load(path, {}).settings == load(tmp_path / "empty.toml", {}).settings


def test_the_example_names_every_key() -> None:
    tables = tomllib.loads(example_toml())
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            assert set(tables[name]) == set(field.annotation.model_fields)


def test_every_key_of_the_example_has_its_meaning() -> None:
    keys = [line for line in example_toml().splitlines() if " = " in line and line[0].isalpha()]
    assert all(" # " in line and len(line.partition(" # ")[2]) > 4 for line in keys)


def test_the_example_provider_loads_once_the_signs_are_taken_off(tmp_path: Path) -> None:
    head, _, provider = example_toml().partition("# [providers.NAME]\n")
    lines = "".join(f"{line.removeprefix('# ')}\n" for line in provider.splitlines())
    path = tmp_path / "config.toml"
    path.write_text(f"{head}[providers.mine]\n{lines}", encoding="utf-8")
    assert load(path, {}).settings.providers["mine"].domains == ("example.net",)
