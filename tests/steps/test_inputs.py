"""The data that a config names, as steps open them."""

import pandas as pd
import pytest

from layerwise.config import validate_study
from layerwise.interfaces import DegenerateWarning
from layerwise.steps.inputs import rated_images


@pytest.mark.parametrize(("folds", "undefined"), [(12, 12), (6, 6), (5, 3), (4, 0)])
def test_folds_without_a_rank_correlation_are_refused_or_warned_of(tmp_path, folds, undefined):
    names = [f"{index:02d}.png" for index in range(12)]
    for name in names:
        (tmp_path / name).touch()
    pd.DataFrame({"image": names, "score": range(12)}).to_csv(tmp_path / "s.csv", index=False)
    entry = {"name": "mine", "images": str(tmp_path), "scores": str(tmp_path / "s.csv"), "folds": folds}
    study = validate_study({"study": "a", "models": ["alexnet"], "ratings": [entry]})
    if undefined == folds:
        with pytest.raises(ValueError, match=rf"{undefined} of {folds} splits of the ratings 'mine' .*fewer `folds`"):
            rated_images(study, "mine")
    elif undefined:
        with pytest.warns(DegenerateWarning, match=f"{undefined} of {folds} splits of the ratings 'mine'"):
            rated_images(study, "mine")
    else:
        assert len(rated_images(study, "mine")[0].splits) == folds
