"""What all sections of the config share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator

# A name becomes a folder and a wildcard of the workflow, so it may hold nothing that a path or a shell reads otherwise.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
NAME_LENGTH = 80
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, min_length=1, max_length=NAME_LENGTH)]

MOST = 10_000  # of what is drawn or counted: more is a typing error, and would never end
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what scikit-learn takes
Degrees = Annotated[float, Field(gt=0, le=360)]


def check_path(path: Path) -> Path:
    """Accept a path that means one file to Snakemake and to the shell, which read braces as names of wildcards.

    Raises
    ------
    ValueError
        It holds braces, or characters that are not printed.
    """
    wrong = [sign for sign in str(path) if sign in "{}" or not (sign.isprintable() or sign == " ")]
    if wrong:
        raise ValueError(
            f"the path {str(path)!r} holds {wrong[0]!r}, which no path of a workflow can: rename the file or folder"
        )
    return path


@dataclass(frozen=True)
class Given:
    """Marks the type of what a user gives a path of: it counts from the folder of the file that says it.

    Parameters
    ----------
    words : frozenset of str
        Texts that are no paths.
    """

    words: frozenset[str] = frozenset()


GivenPath = Annotated[Path, AfterValidator(check_path), Given()]
RunPath = Annotated[Path, AfterValidator(check_path)]  # where a run writes: it counts from the working folder

COLUMNS = ("model", "layer", "class", "shape", "units", "depth", "same_as")
DERIVED = ("_error", "_splits", "_ceiling", "_ceiled_2020", "_ceiled_2026")


def check_column(name: str) -> str:
    """Accept a name that becomes a column of layers.parquet, where it must not meet another column.

    Raises
    ------
    ValueError
        The table has a column of this name, or makes such names of those of regions and measures.
    """
    if name in COLUMNS:
        raise ValueError(f"{name!r} is a column of layers.parquet already: choose a name other than {_listed(COLUMNS)}")
    if name.endswith(DERIVED):
        raise ValueError(
            f"{name!r} ends like the columns that layers.parquet derives from a region or measure: choose a name that "
            f"does not end in {_listed(DERIVED)}"
        )
    return name


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


ColumnName = Annotated[Name, AfterValidator(check_column)]


class Section(BaseModel):
    """A part of the config: unknown keys are errors, and the text under a field is its documentation."""

    model_config = ConfigDict(
        extra="forbid", use_attribute_docstrings=True, frozen=True, validate_default=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls: type[Self], value: Any, place: ValidationInfo) -> Any:
        """Refuse what Python would take for 1 or 0."""
        kind = cls.model_fields[str(place.field_name)].annotation
        if kind is not bool and any(isinstance(part, bool) for part in (value if isinstance(value, list) else [value])):
            raise ValueError("true and false (as yes, no, on and off, which YAML reads so) are no numbers and no text")
        return value
