"""Scores carry the hashes of the data and of the activations, up to the table of a network."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from layerwise.analyses.brain import BrainSimilarity
from layerwise.analyses.ceiling import estimate_ceiling
from layerwise.analyses.gather import gather_model
from layerwise.analyses.memorability import BehaviouralAccuracy
from layerwise.data.content import content_hash
from layerwise.files.tables import read_table, write_table
from layerwise.interfaces import Ratings, Recordings
from layerwise.regression import make_kfold_splits


@pytest.fixture
def recordings(rng, stimuli):
    responses = rng.normal(size=(3, len(stimuli), 4))
    columns = {"movie": np.arange(len(stimuli)) // 6}
    return Recordings(responses, stimuli, tuple("abcd"), ("IT",) * 4, columns)


@pytest.fixture
def ratings(rng, stimuli):
    splits = make_kfold_splits(len(stimuli), n_splits=3)
    return Ratings(stimuli, rng.uniform(size=(3, len(stimuli))), splits)


def test_the_hash_changes_with_every_part_of_recordings(recordings):
    responses = recordings.responses.copy()
    responses[2, 5, 1] += 1e-9
    changed = [
        replace(recordings, responses=responses),
        replace(recordings, stimuli=(*recordings.stimuli[:-1], "z")),
        replace(recordings, neuroids=tuple("abce")),
        replace(recordings, animals=tuple("abab")),
        replace(recordings, regions=("IT", "IT", "IT", "V4")),
        replace(recordings, columns={"movie": recordings.columns["movie"] + 1}),
    ]
    assert len({content_hash(one) for one in [recordings, *changed]}) == 7
    assert content_hash(replace(recordings, responses=recordings.responses.copy())) == content_hash(recordings)


def test_the_hash_changes_with_every_part_of_ratings(ratings):
    scores = ratings.scores.copy()
    scores[1, 3] += 1e-9
    changed = [replace(ratings, scores=scores), replace(ratings, splits=ratings.splits[::-1])]
    assert len({content_hash(one) for one in [ratings, *changed]}) == 3


def score_all(store, layers, recordings, ratings, tmp_path):
    """One network's tables, each written and read again, as between jobs."""
    brain = BrainSimilarity(recordings, "IT", n_components=5)
    behaviour = BehaviouralAccuracy(ratings, "memorability", n_components=5)
    tables = [brain.score(store, layers[:1]), brain.score(store, layers[1:]), behaviour.score(store, layers)]
    tables.append(estimate_ceiling(recordings, "IT"))
    for index, table in enumerate(tables):
        write_table(table, tmp_path / f"{index}.parquet")
    one, two, three, ceilings = (read_table(tmp_path / f"{index}.parquet") for index in range(4))
    return [one, two], [three], [ceilings]


def test_the_table_of_a_network_names_the_data_of_each_column(store, activations, recordings, ratings, tmp_path):
    layers = list(activations)[:2]
    brain, behaviour, ceilings = score_all(store, layers, recordings, ratings, tmp_path)
    write_table(gather_model("model", layers, brain, behaviour, ceilings), tmp_path / "layers.parquet")
    found = read_table(tmp_path / "layers.parquet").attrs["data"]
    assert found == {
        "IT": {"recordings": content_hash(recordings), **store.attributes},
        "memorability": {"ratings": content_hash(ratings), **store.attributes},
    }
    assert {"stimuli", "weights"} <= set(found["IT"])


def test_scores_of_different_weights_are_not_put_side_by_side(store, activations, recordings, ratings, tmp_path):
    layers = list(activations)[:2]
    brain, behaviour, ceilings = score_all(store, layers, recordings, ratings, tmp_path)
    behaviour[0].attrs["data"]["memorability"]["weights"] = "other weights"
    with pytest.raises(ValueError, match=r"other weights for some .* IT: hash, memorability: other we\)"):
        gather_model("model", layers, brain, behaviour, ceilings)


def test_scores_of_different_data_are_not_mixed(store, activations, recordings, ratings, tmp_path):
    layers = list(activations)[:2]
    brain, behaviour, ceilings = score_all(store, layers, recordings, ratings, tmp_path)
    edited = replace(recordings, responses=recordings.responses + 1)
    other = BrainSimilarity(edited, "IT", n_components=5).score(store, layers[1:])
    with pytest.raises(ValueError, match="IT: some of its jobs saw other recordings than the rest"):
        gather_model("model", layers, [brain[0], other], behaviour, ceilings)
    with pytest.raises(ValueError, match="IT: some of its jobs saw other recordings"):
        gather_model("model", layers, brain, behaviour, [estimate_ceiling(edited, "IT")])
    assert isinstance(gather_model("model", layers, brain, behaviour, ceilings), pd.DataFrame)
