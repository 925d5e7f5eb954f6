"""What all sections of the config share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

# A name becomes a folder and a wildcard of the workflow, so it may hold nothing that a path or a shell reads otherwise.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", min_length=1, max_length=80)]


class Section(BaseModel):
    """A part of the config: unknown keys are errors, and the text under a field is its documentation."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True, validate_default=True)
