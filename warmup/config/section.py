"""What every table of the configuration is."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One table of the file: frozen, and nothing in it that we do not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
