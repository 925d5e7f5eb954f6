"""Columns of text: what becomes a number, and what stays as it was written."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.data.tables import as_values


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1", "2", "-3", "+4", "1"], np.array([1, 2, -3, 4, 1])),
        (["9223372036854775807", "0"], np.array([2**63 - 1, 0])),
        (["9007199254740993", "9007199254740992"], np.array([2**53 + 1, 2**53])),
        (["0.5", "1", ".25", "2.", "1e-3", "-1.5E+2"], np.array([0.5, 1, 0.25, 2, 0.001, -150])),
        (["0.30000000000000004", "0.3"], np.array([0.1 + 0.2, 0.3])),
    ],
)
def test_numbers_that_keep_what_is_written_are_numbers(texts, expected):
    found = as_values(pd.Series(texts))
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype


@pytest.mark.parametrize(
    "texts",
    [
        [f"2026112812345678901{digit}" for digit in range(10)],  # 20 digits: one session as a float
        ["01", "1"],
        ["01", "02"],
        ["9223372036854775808", "1"],
        ["18446744073709551615", "0.5"],
        ["9007199254740993", "0.5"],
        ["1.10", "1.1"],
        ["1", "1.0"],
        ["0.12345678901234567891", "0.12345678901234567892"],
        ["1", "inf"],
        ["1e400", "1"],
        ["nan", "1"],
        ["", "1"],
        ["1_000", "2"],
        ["\u0661", "\u0662"],  # digits of another script
    ],
)
def test_texts_of_which_numbers_would_lose_something_stay_texts(texts):
    found = as_values(pd.Series(texts))
    assert found.dtype.kind == "U"
    assert found.tolist() == texts


@given(st.lists(st.text("0123456789.+-e", min_size=1, max_size=25), min_size=1, max_size=8))
def test_different_texts_never_become_one(texts):
    assert len(np.unique(as_values(pd.Series(texts)))) == len(set(texts))
