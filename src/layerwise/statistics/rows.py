"""Tables of results: a row each."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import pandas as pd


def table_of(rows: Sequence[Any], kind: type) -> pd.DataFrame:
    """Make a table of instances of a dataclass: a row each, a column a field."""
    names = [field.name for field in fields(kind)]
    return pd.DataFrame([[getattr(row, name) for name in names] for row in rows], columns=names)
