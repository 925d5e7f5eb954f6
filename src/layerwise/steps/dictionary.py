"""The step that describes the tables of a study."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from layerwise.analyses.dictionary import describe_table
from layerwise.files.tables import read_table, write_csv


def describe_tables(tables: Sequence[Path], output: Path) -> None:
    """Write what each column of tables means, its unit, and where it comes from."""
    write_csv(pd.concat([describe_table(path.stem, read_table(path)) for path in tables]), output)
