"""Layers against a published RDM."""

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr

from layerwise.analyses.ceiling import no_ceiling
from layerwise.analyses.gather import gather_model
from layerwise.analyses.rdm import RdmSimilarity
from layerwise.config import dump_study, validate_study
from layerwise.interfaces import DegenerateWarning, Distances, MeasureSettings


@pytest.fixture
def distances(rng, stimuli):
    return Distances(stimuli, squareform(pdist(rng.normal(size=(60, 9)))))


def test_it_is_the_rank_correlation_of_the_distances(store, activations, distances):
    layers = list(activations)
    with pytest.warns(DegenerateWarning, match="1 of 3 layers has no rsa"):
        table = RdmSimilarity(distances, "IT", MeasureSettings()).score(store, layers)
    assert set(table["region"]) == {"IT_rsa"} and table["layer"].tolist() == ["small", "large", "constant"]
    for layer in layers[:2]:
        expected = spearmanr(pdist(activations[layer], "correlation"), squareform(distances.matrix)).statistic
        assert table.loc[table["layer"] == layer.name, "r"].item() == pytest.approx(expected, abs=1e-10)
    assert np.isnan(table["r"].iloc[2])
    gathered = gather_model("network", layers, [table], [], [no_ceiling(distances, "IT")])
    pd.testing.assert_series_equal(gathered["IT_rsa"], table["r"], check_names=False)
    assert [name for name in gathered if name.startswith("IT")] == ["IT_rsa"]
    assert gathered.attrs["measured"] == {"IT_rsa": "rsa"}
    assert gathered.attrs["nested"]["IT_rsa"] == {"nested": None, "same": None}


def test_other_stimuli_are_refused(store, activations, distances):
    other = Distances(tuple(f"x{name}" for name in distances.stimuli), distances.matrix)
    with pytest.raises(ValueError, match="was made from other stimuli"):
        RdmSimilarity(other, "IT", MeasureSettings()).score(store, list(activations))


RDM = {"name": "rdm", "file": "it.csv", "images": "images", "regions": ["IT"]}


def study(recording, **others):
    return validate_study({"study": "s", "models": ["alexnet"], "recordings": [recording], **others})


def test_rsa_is_its_only_measure_whatever_the_studys():
    assert study(RDM, brain={"measures": ["pls", "ridge"]}).measures_of("rdm") == ["rsa"]
    assert study(RDM | {"measures": ["rsa"]}).measures_of("rdm") == ["rsa"]


def test_it_is_read_again_as_it_was_written():
    once = study(RDM, brain={"measures": ["pls", "cka"], "ridge": {"alpha": 3}})
    assert validate_study(yaml.safe_load(dump_study(once))) == once


@pytest.mark.parametrize(
    ("recording", "others", "said"),
    [
        (RDM | {"measures": ["rsa", "ridge"]}, {}, "no responses, so that 'ridge' cannot be computed"),
        ({"name": "rdm", "file": "it.csv", "images": "images"}, {}, "give `images: folder` and one region"),
        (RDM | {"regions": ["V1", "IT"]}, {}, "give `images: folder` and one region"),
        (RDM | {"min_reliability": 0.3}, {}, "`min_reliability` says nothing of it"),
        (RDM | {"splits": {"n_splits": 3}}, {}, "`splits` says nothing of it"),
        (RDM, {"brain": {"pca": {"images": "x", "components": 30}}}, "'rsa' takes them whole"),
        (RDM, {"statistics": {"neuroids": 100}}, "'rsa' has no value for each neuroid"),
    ],
)
def test_what_an_rdm_cannot_have_is_refused(recording, others, said):
    with pytest.raises(ValueError, match=said):
        study(recording, **others)


def test_an_unknown_measure_is_told_with_what_was_meant():
    with pytest.raises(ValueError, match="given: 'rigde': did you mean 'ridge'"):
        study(RDM | {"file": "it.nc", "measures": ["rigde"]})
    with pytest.raises(ValueError, match="'rsa' is given twice"):
        study(RDM | {"file": "it.nc"}, brain={"measures": ["rsa", "rsa"]})
    with pytest.raises(ValueError, match="alpha"):
        study(RDM | {"file": "it.nc"}, brain={"ridge": {"alpha": 0}})
