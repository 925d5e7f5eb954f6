"""Layers that a user chose, in the steps that sketch, that reduce to principal components, and that train on."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.stats import pearsonr, spearmanr
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from small_training import SIZE, STORED

from layerwise.config import validate_study
from layerwise.data.pixels import PixelCache
from layerwise.data.recordings import read_recordings, write_recordings
from layerwise.files.tables import read_table
from layerwise.interfaces import Recordings, StimulusSet
from layerwise.models import build, normalise, resolve_preprocessing
from layerwise.steps.activations import extract_activations
from layerwise.steps.brain import score_brain, splits_of
from layerwise.steps.inputs import rated_images
from layerwise.steps.memorability import sketch_memorability
from layerwise.steps.networks import list_layers
from layerwise.steps.stimuli import pack_stimuli
from layerwise.study import geometry_of, pca_geometry

N, COMPONENTS, REDUCED = 48, 3, 20
NAMES = tuple(f"{index:02d}.png" for index in range(N))
CHOSEN = ("stem", "block.0", "block.1", "block.2")  # `block` passes on what its last module gives
CONTENT = {
    "study": "s",
    "models": [
        {
            "name": "tiny",
            "factory": "small_training:tiny",
            "options": {"channels": 30},
            "preprocessing": {"size": SIZE, "resize": STORED},
            "layers": {"which": ["stem", "block", "block.?"], "pooling": "mean", "repeated": "leave-out"},
        }
    ],
    "recordings": [{"name": "seen", "file": "seen.nc", "splits": {"n_splits": 2}}],
    "ratings": [{"name": "rated", "images": "photos", "scores": "scores.csv", "folds": 3}],
    "brain": {"pca": {"images": "others", "components": REDUCED}},
    "memorability": {"method": "sketch", "small": 0, "dimensions": 64},
    "regression": {"components": COMPONENTS},
    "compute": {"threads": 1, "device": "cpu"},
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Images that were seen and rated, and a folder of others."""
    folder, rng = tmp_path_factory.mktemp("chosen"), np.random.default_rng(3)
    for where in ("photos", "others"):
        (folder / where).mkdir()
        for name in NAMES:
            coarse = rng.integers(0, 255, (6, 6, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((STORED, STORED)).save(folder / where / name)
    pd.DataFrame({"image": NAMES, "score": rng.random(N)}).to_csv(folder / "scores.csv", index=False)
    images = StimulusSet("photos", NAMES, tuple(folder / "photos" / name for name in NAMES))
    recordings = Recordings(rng.standard_normal((2, N, 3)), NAMES, tuple("abc"), ("IT",) * 3)
    write_recordings(recordings, folder / "seen.nc", images, visual_degrees=8)
    return folder


@pytest.fixture
def study(ran, tmp_path, monkeypatch):
    shutil.copytree(ran, tmp_path / "study")
    monkeypatch.chdir(tmp_path / "study")
    study = validate_study(CONTENT)
    threads = torch.get_num_threads()
    list_layers(study, "tiny", Path("manifest.tsv"), Path("preprocessing.json"))
    yield study
    torch.set_num_threads(threads)


def expected_of(study):
    return resolve_preprocessing(study.model_entry("tiny").spec())


def pack(study, stimuli, geometry):
    path = Path(f"{stimuli}.h5")
    pack_stimuli(study, stimuli, geometry.key, path)
    return path


def shown(study, pixels):
    """What modules give for the images of a file, over the mean of the image: by plain hooks."""
    network, found = build(study.model_entry("tiny").spec()).eval(), {}
    for name in CHOSEN:
        module = network.get_submodule(name)
        module.register_forward_hook(lambda _, __, output, name=name: found.update({name: output.mean((2, 3)).numpy()}))
    with torch.inference_mode():
        network(normalise(torch.from_numpy(PixelCache(pixels).read(0, N)), expected_of(study)))
    return {name: values.astype(float) for name, values in found.items()}


def predict(values, target, split):
    exact = PLSRegression(COMPONENTS, scale=False, tol=1e-12, max_iter=10_000)
    return exact.fit(values[split.train], target[split.train]).predict(values[split.test])


def test_sketches_of_chosen_layers_are_their_units_where_these_are_few(study):
    pixels = pack(study, "rated", geometry_of(study, "rated", expected_of(study)))
    sketch_memorability(study, "tiny", "rated", "001-004", pixels, Path("s.parquet"), manifest=Path("manifest.tsv"))
    found, rated = read_table("s.parquet"), rated_images(study, "rated")[0]
    values = shown(study, pixels)
    assert set(found["layer"]) == set(CHOSEN) and len(found) == 3 * 4
    for row in found.itertuples():
        split = rated.splits[row.split]
        predicted = predict(values[row.layer], rated.scores[row.split], split)
        assert row.rho == pytest.approx(spearmanr(predicted, rated.scores[row.split][split.test])[0], abs=1e-6)


def test_chosen_layers_are_reduced_to_principal_components(study):
    expected = expected_of(study)
    pixels = pack(study, "seen", geometry_of(study, "seen", expected))
    others = pack(study, "pca_images", pca_geometry(study, "seen", expected))
    manifest = Path("manifest.tsv")
    extract_activations(study, "tiny", pixels, Path("seen-layers.h5"), others, manifest=manifest)
    score_brain(study, "tiny", "IT", "001-004", Path("seen-layers.h5"), Path("it.parquet"), manifest=manifest)
    found, recordings = read_table("it.parquet"), read_recordings(Path("seen.nc"))
    values, fitted, responses = shown(study, pixels), shown(study, others), recordings.responses.mean(axis=0)
    splits = splits_of(study, "IT").make(recordings)
    for row in found.itertuples():
        scores = PCA(REDUCED, svd_solver="full").fit(fitted[row.layer]).transform(values[row.layer])
        predicted = predict(scores, responses, splits[row.split])
        r = [pearsonr(*pair)[0] for pair in zip(predicted.T, responses[splits[row.split].test].T, strict=True)]
        np.testing.assert_allclose(row.r_neuroids, r, atol=1e-4)
    assert set(found["layer"]) == set(CHOSEN) and len(found) == 2 * 4
