from importlib.metadata import version

import pandas as pd
import pytest
from damage import N_FLIPS, count_refused

from layerwise.files.made import software
from layerwise.files.tables import read_software, read_table, six_digits, write_csv, write_table


def test_tables_come_back_as_they_were_written(tmp_path, rng):
    table = pd.DataFrame({"layer": ["a", "b"], "r": rng.random(2), "r_neuroids": [rng.random(3), rng.random(3)]})
    write_table(table, tmp_path / "table.parquet")
    write_csv(table[["layer", "r"]], tmp_path / "table.csv")
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.parquet"), table)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "table.csv"), table[["layer", "r"]])


def test_a_csv_has_six_digits_and_counts_have_all(tmp_path):
    table = pd.DataFrame({"x": [1 / 3, 123456.789, 1e-300 / 7, -2.5], "n": [61100840.0, float("nan"), 0.0, 1e15]})
    write_csv(table, tmp_path / "table.csv")
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert lines == ["x,n", "0.333333,61100840", "123457,", "1.42857e-301,0", "-2.5,1e+15"]
    values = [-1.0, 0.1, 2 / 3, 1e22, float("inf"), 1234567.5]
    assert [float(six_digits(value)) for value in values] == pytest.approx(values, rel=5e-6)


def test_a_table_says_with_which_versions_and_commit_it_was_written(tmp_path):
    write_table(pd.DataFrame({"x": [0.5]}), tmp_path / "table.parquet")
    told = read_software(tmp_path / "table.parquet")
    assert told == software() and told["layerwise"] == version("layerwise") and told["torch"] == version("torch")
    assert read_table(tmp_path / "table.parquet").attrs == {}


def test_missing_and_truncated_tables_are_named(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        read_table(tmp_path / "none.parquet")
    write_table(pd.DataFrame({"x": range(1000)}), tmp_path / "table.parquet")
    content = (tmp_path / "table.parquet").read_bytes()
    (tmp_path / "table.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"table\.parquet has no checksum: it is cut.*delete it, and run the step"):
        read_table(tmp_path / "table.parquet")


def test_no_flipped_bit_changes_a_table(tmp_path, rng):
    path = tmp_path / "table.parquet"
    table = pd.DataFrame({"layer": [f"layer{n}" for n in range(50)], "r_neuroids": [rng.random(20) for _ in range(50)]})
    table.attrs = {"data": {"pixels": "hash"}}
    write_table(table, path)

    def read():
        found = read_table(path)
        return found.attrs, found["layer"].tolist(), [values.tobytes() for values in found["r_neuroids"]]

    assert read() == (table.attrs, table["layer"].tolist(), [values.tobytes() for values in table["r_neuroids"]])
    assert count_refused(path, rng, read, read()) == N_FLIPS


def test_a_table_of_before_checksums_is_refused(tmp_path):
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "old.parquet")
    with pytest.raises(ValueError, match=r"old\.parquet has no checksum: .* older layerwise, .*; delete it, and run"):
        read_table(tmp_path / "old.parquet")


def test_others_read_the_table_as_any_parquet_file(tmp_path):
    write_table(pd.DataFrame({"layer": ["a", "b"], "r": [0.5, 0.25]}), tmp_path / "table.parquet")
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "table.parquet"), pd.DataFrame({"layer": ["a", "b"], "r": [0.5, 0.25]})
    )


def test_missing_columns_are_named_with_those_that_are_there(tmp_path):
    write_table(pd.DataFrame({"layer": ["a"], "r": [0.5]}), tmp_path / "table.parquet")
    assert list(read_table(tmp_path / "table.parquet", ["r"])) == ["layer", "r"]
    with pytest.raises(ValueError, match=r"table\.parquet lacks split, rho: .* it has: layer, r$"):
        read_table(tmp_path / "table.parquet", ["layer", "split", "rho"])
