import pandas as pd
import pytest

from layerwise.files.tables import read_table, write_csv, write_table


def test_tables_come_back_as_they_were_written(tmp_path, rng):
    table = pd.DataFrame({"layer": ["a", "b"], "r": rng.random(2), "r_neuroids": [rng.random(3), rng.random(3)]})
    write_table(table, tmp_path / "table.parquet")
    write_csv(table[["layer", "r"]], tmp_path / "table.csv")
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.parquet"), table)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "table.csv"), table[["layer", "r"]])


def test_missing_and_truncated_tables_are_named(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        read_table(tmp_path / "none.parquet")
    write_table(pd.DataFrame({"x": range(1000)}), tmp_path / "table.parquet")
    content = (tmp_path / "table.parquet").read_bytes()
    (tmp_path / "table.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="not a whole parquet file"):
        read_table(tmp_path / "table.parquet")


def test_missing_columns_are_named_with_those_that_are_there(tmp_path):
    write_table(pd.DataFrame({"layer": ["a"], "r": [0.5]}), tmp_path / "table.parquet")
    assert list(read_table(tmp_path / "table.parquet", ["r"])) == ["layer", "r"]
    with pytest.raises(ValueError, match=r"table\.parquet lacks split, rho: .* it has: layer, r$"):
        read_table(tmp_path / "table.parquet", ["layer", "split", "rho"])
