"""Tables on disk: parquet for the pipeline, CSV for people.

Parquet has checksums of pages at most, and none of what it says about them; so the SHA-256 of all other bytes of the
file stands among its metadata.
"""

import hashlib
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from layerwise.files.atomic import atomic_path
from layerwise.files.made import software
from layerwise.files.memory import reraise_memory

SIMULATED = "simulated"  # among a table's attributes: by what, in words
MEASURED = "measured"  # among a table's attributes: the measure of each column of brain scores that is not of PLS
MADE_WITH = "layerwise.made_with"  # among a file's metadata: versions and commit, as JSON
_KEY = "layerwise.sha256"
_BLANK = "0" * 64
_WHOLE = 1e15  # up to which float64 holds whole numbers and their neighbours
_PLACE = re.compile(rb"layerwise\.sha256..([0-9a-f]{64})", re.DOTALL)  # between them the value's type and length
_ADVICE = "delete it, and run the step that makes it again"


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as parquet, whole or not at all; its attributes say with which versions and commit."""
    content = io.BytesIO()
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    with parquet.ParquetWriter(content, arrow.schema, store_schema=True) as writer:
        writer.write_table(arrow)
        writer.add_key_value_metadata({_KEY: _BLANK, MADE_WITH: json.dumps(software())})
    with atomic_path(path) as temporary:
        temporary.write_bytes(_digested(content.getvalue()))


def write_csv(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as CSV, with six digits of each number, whole or not at all.

    Of one that is simulated, a comment in the first line says so.
    """
    mark = f"# {table.attrs[SIMULATED]}\n" if SIMULATED in table.attrs else ""
    with atomic_path(path) as temporary:
        temporary.write_text(mark + table.to_csv(index=False, float_format=six_digits), encoding="utf-8")


def six_digits(given: object) -> str:
    """Write a number with six significant digits, and a whole one, such as a count, with all of its own."""
    value = float(cast("float", given))
    return f"{value:.0f}" if value.is_integer() and abs(value) < _WHOLE else f"{value:.6g}"


def read_software(path: str | Path) -> dict[str, str]:
    """Read the versions and the commit that a table was written with; empty where it does not say."""
    metadata = parquet.read_metadata(path).metadata or {}
    return dict(json.loads(metadata.get(MADE_WITH.encode(), b"{}")))


def write_both(table: pd.DataFrame, output: str | Path, csv: str | Path | None = None) -> None:
    """Write a table as parquet, and as CSV where a path for it is given."""
    write_table(table, output)
    if csv:
        write_csv(table, csv)


def marked(table: pd.DataFrame, source: pd.DataFrame) -> pd.DataFrame:
    """Mark a table that comes from another: whether that is simulated, and by what measures its columns are."""
    table.attrs |= {key: source.attrs[key] for key in (SIMULATED, MEASURED) if key in source.attrs}
    return table


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
        The file is damaged, was written by another program, or lacks a column.
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
    if not Path(path).exists():
        raise ValueError(f"{path} does not exist: run the step that makes it first")
    content = Path(path).read_bytes()
    if _PLACE.search(content) is None:
        raise ValueError(
            f"{path} has no checksum: it is cut, was written by an older layerwise, or is no table of its; {_ADVICE}"
        )
    if content != _digested(content):
        raise ValueError(f"{path} is damaged (its bytes do not fit their checksum): {_ADVICE}")
    try:
        return pd.read_parquet(io.BytesIO(content))
    except (pa.ArrowInvalid, OSError) as error:
        reraise_memory(error, f"reading {path}")
        raise


def _digested(content: bytes) -> bytes:
    """Put into a file the SHA-256 that it has with zeros in that place."""
    *_, found = _PLACE.finditer(content)
    before, after = content[: found.start(1)], content[found.end(1) :]
    digest = hashlib.sha256(before + _BLANK.encode() + after).hexdigest()
    return before + digest.encode() + after
