"""Tables on disk: parquet for the pipeline, CSV for people."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from layerwise.files.atomic import atomic_path
from layerwise.files.memory import reraise_memory


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as parquet, whole or not at all."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def write_csv(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as CSV, whole or not at all."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def read_table(path: str | Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read a parquet table.

    Parameters
    ----------
    path : path
        The file.
    columns : sequence of str
        Columns that it must have, among others.

    Raises
    ------
    ValueError
        The file is not a whole parquet file, or lacks a column.
    """
    table = _read(path)
    missing = [column for column in columns if column not in table]
    if missing:
        raise ValueError(
            f"{path} lacks {', '.join(missing)}: it is another table, or of another study; it has: "
            f"{', '.join(map(str, table.columns)) or 'no column'}"
        )
    return table


def _read(path: str | Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (pa.ArrowInvalid, OSError) as error:
        reraise_memory(error, f"reading {path}")
        if not Path(path).exists():
            raise ValueError(f"{path} does not exist: run the step that makes it first") from error
        raise ValueError(f"{path} is not a whole parquet file ({error}): delete it and run the step again") from error
