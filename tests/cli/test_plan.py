"""The table of a plan, in terminals of any width."""

from types import SimpleNamespace

import pytest

from layerwise.cli import plan
from layerwise.cli.plan import HEAD, _table

PLAN = SimpleNamespace(
    model="tf_efficientnet_lite0-untrained", stimuli="photographs", n_images=58741, layers=range(191),
    method="streamed", running=range(3), passes=78, seconds=7200.0,
)  # fmt: skip
ROW = SimpleNamespace(plan=PLAN, device=12.345e9, memory=3830.0, disk=6.5e9)
NUMBERS = ["191", "streamed", "3", "78", "12.35", "3.83", "6.50", "2.00"]


def test_a_row_is_a_line_where_it_fits(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    head, row = _table([ROW])
    assert head.split("  ")[0] == HEAD[0] and row.split() == [PLAN.model, PLAN.stimuli, "58,741", *NUMBERS]


@pytest.mark.parametrize("columns", ["80", None])
def test_names_stand_above_numbers_where_a_terminal_is_narrow_and_in_files(monkeypatch, columns):
    monkeypatch.delenv("COLUMNS", raising=False) if columns is None else monkeypatch.setenv("COLUMNS", columns)
    head, first, numbers, *others = _table([ROW, ROW])
    assert max(map(len, (head, first, numbers))) <= 80 and others == [first, numbers]
    assert first == f"{PLAN.model}, 58,741 images of photographs"
    assert numbers.split() == NUMBERS and head.split()[:3] == ["layers", "method", "jobs"]


@pytest.mark.parametrize("columns", [80, 200])
def test_the_table_of_training_fits_a_line_and_loses_nothing(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    cells = ("tf_efficientnet_lite0-untrained", "5", "5", "27", "a core", "streamed", "0.0", "7.1", "30.3", "estimated")
    monkeypatch.setattr(plan, "_cells_trained", lambda _: cells)
    lines = plan._trained([None, None])[2:-1]
    assert max(map(len, lines)) <= columns and len(lines) == (5 if columns == 80 else 3)
    assert " ".join(lines).split() == [word for row in _order(columns, cells) for text in row for word in text.split()]


def _order(columns, cells):
    two_lines = [(cells[0],), cells[1:]] if columns == 80 else [cells]
    return [plan.TRAINED[1:] if columns == 80 else plan.TRAINED, *two_lines, *two_lines]
