import io
import re
import time
from dataclasses import replace

import pytest

from layerwise.cli import progress
from layerwise.cli.progress import show_epochs, show_progress
from layerwise.finetuning import Epoch
from layerwise.finetuning.training import Pace


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
    assert re.search(r"fitting .*40/40 \d[\d.]*/s 0:00:00", shown), shown


def test_lines_say_the_same_where_there_is_no_terminal(capsys, monkeypatch):
    seconds = iter([0.0, 10.0, 31.0, 40.0, 50.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(seconds))
    assert list(show_progress("abc", "fitting", 3)) == ["a", "b", "c"]
    assert capsys.readouterr().err.splitlines() == [
        "fitting: 2/3, 0.065/s, 16 s left",
        "fitting: 3 done in 50.0 s",
    ]


@pytest.mark.parametrize(("rate", "told"), [(0.0648, "0.065"), (9.96, "10"), (12.4, "12"), (5131.2, "5,131")])
def test_rates_are_told_in_full(rate, told):
    assert progress.short(rate) == told


def epoch(number):
    return Epoch(number, 0.001, 0.0123, 0.0234, 0.5678, 1), Pace(
        images_per_second=606.4, seconds=90.0, memory=5_700_000_000
    )


def test_an_epoch_is_a_line_in_a_log(capsys):
    with show_epochs("dpn92", 100) as report:
        report("2", *epoch(60))
    assert capsys.readouterr().err == (
        "dpn92, split 2: epoch 60 of at most 100: loss 0.01230, validation loss 0.02340, rho 0.5678, 606 images/s, "
        "1:00:00 left at most, 5.7 GB of the GPU\n"
    )


def test_a_slow_epoch_has_a_rate_above_nothing(capsys):
    number, pace = epoch(1)
    with show_epochs("nasnetalarge", 100) as report:
        report("1", number, replace(pace, images_per_second=0.342))
    assert ", 0.34 images/s," in capsys.readouterr().err


def test_epochs_are_a_bar_for_each_split_on_a_terminal_of_usual_width_and_a_line_above(monkeypatch):
    terminal, model = Terminal(), "tf_efficientnet_lite0"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stderr", terminal)
    with show_epochs(model, 100) as report:
        for split, number in (("1", 59), ("2", 8), ("1", 60)):  # the first was resumed
            report(split, *epoch(number))
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
    assert re.search(rf"{model}, split 1 \S+ +60/100 1:00:00 at most", shown), shown
    assert re.search(rf"{model}, split 2 \S+ +8/100 2:18:00 at most", shown), shown
    for told in (f"{model}, split 1: epoch 59 of at most 100:", f"{model}, split 2: epoch 8 of at most 100:"):
        assert f"{told} loss 0.01230, validation loss 0.02340, rho 0.5678, 606 images/s," in " ".join(shown.split())
