"""The proof: real assemblies, exported and scored here, have the scores that Brain-Score's own code gives them.

Brain-Score runs in its own environment, as a second process; what it found comes back as arrays.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from layerwise.activations.store import Stored
from layerwise.analyses.brain import BrainSimilarity, SplitPlan
from layerwise.analyses.ceiling import estimate_ceiling
from layerwise.analyses.gather import gather_model
from layerwise.data.recordings import list_regions, read_attributes, read_recordings, stimuli_of
from layerwise.interfaces import LayerSpec

HERE = Path(__file__).parent
EXPORTER = HERE.parents[1] / "workflow" / "scripts" / "export_brainscore.py"
LAYER = LayerSpec("layer", "Linear", (150,), 150, 1)
PLAN = SplitPlan(by="object_name", order="brainscore_rank")


class RawStore:
    """The activations that Brain-Score was given, in the order of the ids."""

    model, attributes = "model", {}

    def __init__(self, features, ids):
        self.order = np.argsort(ids)
        self.features, self.stimuli = features[self.order], tuple(np.sort(ids).tolist())

    def check_stimuli(self, stimuli):
        assert self.stimuli == tuple(stimuli)

    def read(self, layer, packed):
        return Stored("activations", self.features, nonfinite=False)


@pytest.fixture(scope="module", params=[(), ("time",), ("time", "file")], ids=["one bin", "bins", "bins, from files"])
def study(request, brainscore, tmp_path_factory):
    seed = int.from_bytes(os.urandom(4), "little")
    print(f"seed {seed}")
    folder = tmp_path_factory.mktemp("brainscore") / "study"
    done = brainscore(HERE / "oracle.py", EXPORTER, folder, seed, *request.param)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "oracle.npz") as results:
        return folder, dict(results)


def score(folder, oracle, region):
    recordings = read_recordings(folder / "exported.nc", [region])
    store = RawStore(oracle["features"], oracle["ids"])
    scores = BrainSimilarity(recordings, region, PLAN, solver="scikit-learn").score(store, [LAYER])
    ceilings = estimate_ceiling(recordings, region)
    return scores, ceilings, gather_model("model", [LAYER], [scores], [], [ceilings]).iloc[0]


@pytest.mark.parametrize("region", ["V4", "IT"])
def test_scores_and_ceilings_are_those_of_brain_score(study, region):
    folder, oracle = study
    scores, ceilings, row = score(folder, oracle, region)
    found = {
        "r": np.stack(scores["r_neuroids"]),
        "ceilings": ceilings["ceiling"].to_numpy().reshape(10, -1),
        "centre": row[region],
        "error": row[f"{region}_error"],
        "ceiling": row[f"{region}_ceiling"],
        "ceiled_2020": row[f"{region}_ceiled_2020"],
        "ceiled_2026": row[f"{region}_ceiled_2026"],
    }
    for name, value in found.items():
        expected = oracle[f"{region}_{name}"]
        assert np.shape(value) == expected.shape
        difference = np.abs(value - expected).max()
        print(f"{region} {name}: {difference:.1e}")
        assert difference <= 1e-12, name


def test_the_order_of_brain_score_matters(study):
    folder, oracle = study
    recordings = read_recordings(folder / "exported.nc", ["IT"])
    store = RawStore(oracle["features"], oracle["ids"])
    by_id = BrainSimilarity(recordings, "IT", SplitPlan(by="object_name"), solver="scikit-learn").score(store, [LAYER])
    # A rotation comes before the ids in these assemblies, so Brain-Score sorts by it and draws other splits.
    assert np.abs(np.stack(by_id["r_neuroids"]) - oracle["IT_r"]).max() > 1e-3


def test_the_file_says_what_was_exported(study):
    folder, oracle = study
    path = folder / "exported.nc"
    assert list_regions(path) == ("V4", "IT")
    attributes = read_attributes(path)
    assert attributes["visual_degrees"] == 8
    assert attributes["window_ms"] == "70-170"
    assert attributes["stratum"] == "object_name"
    recordings = read_recordings(path)
    assert recordings.neuroids == tuple(f"{area}-{i}" for area, n in (("V4", 7), ("IT", 11)) for i in range(n))
    assert recordings.animals == tuple(np.resize(["Chabo", "Tito"], 18).tolist())
    objects = dict(zip(oracle["ids"].tolist(), oracle["objects"].tolist(), strict=True))
    assert recordings.columns["object_name"].tolist() == [objects[stimulus] for stimulus in recordings.stimuli]


def test_each_stimulus_has_its_own_image(study):
    folder, _ = study
    stimuli = stimuli_of(folder / "exported.nc")
    for stimulus, path in zip(stimuli.ids, stimuli.paths, strict=True):
        assert path.parent.resolve() == (folder / "images").resolve()
        np.testing.assert_array_equal(Image.open(path), Image.open(folder / "originals" / f"{stimulus} é.png"))
