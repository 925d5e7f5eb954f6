"""What commands share."""

import warnings

import pytest

from layerwise.cli.options import counted_warnings
from layerwise.interfaces import DegenerateWarning


def test_warnings_are_counted_and_told_also_of_a_step_that_fails(capsys):
    with pytest.raises(ValueError, match="wrong"), counted_warnings():
        for text in ("constant", "constant", "empty"):
            warnings.warn(text, DegenerateWarning, stacklevel=1)
        raise ValueError("wrong")
    assert capsys.readouterr().err == "warning: constant (2 times)\nwarning: empty\n"
