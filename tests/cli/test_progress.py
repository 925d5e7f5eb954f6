import io
import re
import time

import pytest

from layerwise.cli import progress
from layerwise.cli.progress import show_progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_shows_how_far_the_rate_and_the_time_left(monkeypatch):
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("sys.stderr", terminal)
    assert [time.sleep(0.02) or item for item in show_progress(iter(range(40)), "fitting", 40)] == list(range(40))
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue()).split("\r")[-1]
    assert re.search(r"fitting .*40/40 \d\d/s 0:00:00", shown), shown


def test_lines_say_the_same_where_there_is_no_terminal(capsys, monkeypatch):
    seconds = iter([0.0, 10.0, 31.0, 40.0, 50.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(seconds))
    assert list(show_progress("abc", "fitting", 3)) == ["a", "b", "c"]
    assert capsys.readouterr().err.splitlines() == [
        "fitting: 2/3, 0.065/s, 16 s left",
        "fitting: 3 done in 50.0 s",
    ]


@pytest.mark.parametrize(("rate", "told"), [(0.0648, "0.065/s"), (9.96, "10/s"), (12.4, "12/s"), (5131.2, "5,131/s")])
def test_rates_are_told_in_full(rate, told):
    assert progress._rate(rate) == told
