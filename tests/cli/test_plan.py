"""The table of a plan, in terminals of any width."""

import sys
from types import SimpleNamespace

import pytest

from layerwise.cli.plan import HEAD, _table

PLAN = SimpleNamespace(
    model="tf_efficientnet_lite0-untrained", stimuli="photographs", n_images=58741, layers=range(191),
    method="streamed", running=range(3), passes=78, seconds=7200.0,
)  # fmt: skip
ROW = SimpleNamespace(plan=PLAN, device=12.345e9, memory=3830.0, disk=6.5e9)
NUMBERS = ["191", "streamed", "3", "78", "12.35", "3.83", "6.50", "2.00"]


@pytest.mark.parametrize(("terminal", "columns"), [(False, 80), (True, 200)])
def test_a_row_is_a_line_where_it_fits_and_in_files(monkeypatch, terminal, columns):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    head, row = _table([ROW])
    assert head.split("  ")[0] == HEAD[0] and row.split() == [PLAN.model, PLAN.stimuli, "58,741", *NUMBERS]


def test_names_stand_above_numbers_where_a_terminal_is_narrow(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    head, first, numbers, *others = _table([ROW, ROW])
    assert max(map(len, (head, first, numbers))) <= 80 and others == [first, numbers]
    assert first == f"{PLAN.model}, 58,741 images of photographs"
    assert numbers.split() == NUMBERS and head.split()[:3] == ["layers", "method", "jobs"]
