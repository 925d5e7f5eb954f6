"""From the step that trains to predictions of the photographs: the table that the step wrote is the oracle."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from small_training import SIZE

from layerwise.config import validate_study
from layerwise.files.tables import read_table
from layerwise.models import resolve_preprocessing
from layerwise.steps.finetuning import finetune_network
from layerwise.steps.prediction import predict_images
from layerwise.steps.stimuli import pack_stimuli
from layerwise.study import finetuning_geometry

N = 45
CONTENT = {
    "study": "s",
    "ratings": [{"name": "rated", "images": "photos", "scores": "scores.csv", "folds": 3}],
    "finetuning": {"batch_size": 8, "max_epochs": 1, "learning_rate": 0.01, "hold_out": 0.2},
    "compute": {"threads": 1, "device": "cpu"},
}


@pytest.mark.parametrize("crop", ["centre", "squash", "border"])
@pytest.mark.parametrize("resize", [SIZE, SIZE + 5])
def test_photographs_get_the_scores_that_the_step_wrote_of_their_pixels(tmp_path, monkeypatch, rng, crop, resize):
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    names, threads = [f"{index:02d}.png" for index in range(N)], torch.get_num_threads()
    for name in names:
        height, width = rng.integers(18, 60, 2)
        Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(f"photos/{name}")
    pd.DataFrame({"image": names, "score": rng.random(N)}).to_csv("scores.csv", index=False)
    shown = {"size": SIZE, "resize": resize, "crop": crop, "interpolation": "bicubic", "channels": "BGR"}
    tiny = {"name": "tiny", "factory": "small_training:tiny", "preprocessing": shown}
    study = validate_study(CONTENT | {"models": [tiny]})
    geometry = finetuning_geometry(study, resolve_preprocessing(study.model_entry("tiny").spec()))
    pack_stimuli(study, "rated", geometry.key, Path("pixels.h5"))
    finetune_network(study, "tiny", ["1", "3"], Path("pixels.h5"), Path("finetuned"), Path("states"))
    found = predict_images([Path("finetuned")], [Path("photos")], "cpu", threads=1).table.set_index("image")
    for split in ("1", "3"):
        written = read_table(f"finetuned/{split}/predictions.parquet")
        predicted = found[f"split_{split}"][[f"photos/{name}" for name in written["stimulus"]]]
        assert np.ptp(predicted) > 1e-3 and len(written) >= 15
        np.testing.assert_allclose(predicted, written["predicted"], atol=1e-5)
    torch.set_num_threads(threads)
