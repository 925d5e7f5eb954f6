"""Numbers of things in sentences."""

import numpy as np
import pytest

from layerwise.interfaces import agreeing, counted


@pytest.mark.parametrize(
    ("number", "one", "many", "told"),
    [
        (1, "image", None, "1 image"),
        (2, "image", None, "2 images"),
        (0, "image", None, "0 images"),
        (58741, "image", None, "58,741 images"),
        (1, "stimulus has", "stimuli have", "1 stimulus has"),
        (np.int64(3), "stimulus has", "stimuli have", "3 stimuli have"),
        (np.int64(1), "pass", "passes", "1 pass"),
    ],
)
def test_words_go_with_their_number(number, one, many, told):
    assert counted(number, one, many) == told


def test_a_verb_goes_with_its_number():
    assert [agreeing(number, "has", "have") for number in (0, 1, 2)] == ["have", "has", "have"]
