"""What the operator wants, read once, checked whole and frozen.

`load` merges the configuration file, the environment and a folder of secrets into one `Settings`; anything wrong in
any of them is a mistake in one `ConfigError`, all listed at once. `providers_of` adds the operator's providers to ours.
"""

from warmup.config.example import example_toml
from warmup.config.mistakes import ConfigError
from warmup.config.oauth import authority_of
from warmup.config.providers import providers_of
from warmup.config.reading import Loaded, config_file, load
from warmup.config.settings import Settings, is_zone

__all__ = [
    "ConfigError",
    "Loaded",
    "Settings",
    "authority_of",
    "config_file",
    "example_toml",
    "is_zone",
    "load",
    "providers_of",
]
