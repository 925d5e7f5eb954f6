"""Scores carry the hashes of the data and of the activations, up to the table of a network."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from layerwise.analyses.brain import BrainSimilarity
from layerwise.analyses.ceiling import estimate_ceiling
from layerwise.analyses.gather import check_data, gather_model
from layerwise.analyses.memorability import BehaviouralAccuracy
from layerwise.data.content import content_hash
from layerwise.files.tables import read_table, write_table
from layerwise.interfaces import Ratings, Recordings, Split
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


def test_what_pls_leaves_out_of_ratings_is_no_part_of_the_hash(ratings):
    def parts(validation):
        return [Split(split.train[3:], split.test, split.train[:3][:validation]) for split in ratings.splits]

    one, other = (replace(ratings, splits=parts(validation)) for validation in (3, 2))
    assert content_hash(one) == content_hash(other) != content_hash(ratings)
    assert all(len(split.validation) == 3 for split in one.splits)
    scores = ratings.scores.copy()
    scores[1, one.splits[1].validation[0]] = 0.25
    assert content_hash(replace(one, scores=scores)) == content_hash(one)
    longer = Ratings(("0", *one.stimuli), np.pad(one.scores, ((0, 0), (1, 0))), [moved(split) for split in one.splits])
    assert content_hash(longer) == content_hash(one)


def moved(split):
    return Split(split.train + 1, split.test + 1, np.append(0, split.validation + 1))


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
    with pytest.raises(ValueError, match=r"different weights than .*IT with hash; memorability with other we\)"):
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


@pytest.mark.parametrize("key", ["weights", "preprocessing", "network"])
def test_parts_that_were_made_with_other_networks_are_not_joined(
    fill_store, store, activations, recordings, ratings, tmp_path, key
):
    layers = list(activations)[:2]
    brain, _, ceilings = score_all(store, layers, recordings, ratings, tmp_path)
    behaviour = BehaviouralAccuracy(ratings, "memorability", n_components=5)
    mirror = fill_store(activations, "mirror.h5", **{key: "a mirror's"})
    official = fill_store(activations, "official.h5", **{key: "another"})
    rho = [behaviour.score(mirror, layers)]
    if key == "network":  # which older activations do not name
        brain = [BrainSimilarity(recordings, "IT", n_components=5).score(official, layers)]
    with pytest.raises(ValueError, match=r"network: parts of its results were made with (a )?different") as caught:
        gather_model("network", layers, brain, rho, ceilings)
    assert "memorability with a mirror" in str(caught.value)
    assert "delete the folders activations, brain and memorability of network, and run again" in str(caught.value)
    assert len(gather_model("network", layers, brain, [], ceilings)) == len(gather_model("m", layers, [], rho, [])) == 2


def test_what_is_told_of_activations_comes_with_the_scores(fill_store, activations, recordings):
    told = {"network": "its hash", "versions": "torch 2.11"}
    store = fill_store(activations, "told.h5", **told)
    table = BrainSimilarity(recordings, "IT", n_components=5).score(store, list(activations)[:1])
    assert table.attrs["data"]["IT"].items() >= told.items()
    assert set(store.attributes) == {"model", "weights", "preprocessing", "stimuli", "code", "network", "versions"}


@pytest.mark.parametrize("key", ["weights", "preprocessing", "stimuli", "code"])
def test_scores_of_other_activations_than_those_that_are_kept_are_refused(
    fill_store, store, activations, recordings, ratings, tmp_path, key
):
    layers = list(activations)[:2]
    parts = score_all(store, layers, recordings, ratings, tmp_path)
    assert len(gather_model("network", layers, *parts, activations={"IT": store.attributes})) == 2
    later = fill_store(activations, "later.h5", **{key: "of today"})
    with pytest.raises(ValueError, match=f"IT: some of its jobs saw other {key} than the rest.*deleted"):
        gather_model("network", layers, *parts, activations={"IT": later.attributes})


def test_networks_that_were_held_against_other_data_are_not_joined(store, activations, recordings, ratings, tmp_path):
    layers = list(activations)[:2]
    brain, behaviour, ceilings = score_all(store, layers, recordings, ratings, tmp_path)
    one = gather_model("one", layers, brain, behaviour, ceilings)
    check_data({"one": one, "same": gather_model("same", layers, brain, behaviour, ceilings)})
    edited = replace(recordings, responses=recordings.responses + 1)
    other = gather_model(
        "two", layers, [BrainSimilarity(edited, "IT", n_components=5).score(store, layers)], [], ceilings_of(edited)
    )
    with pytest.raises(ValueError, match=r"IT: two was compared with other recordings than one .* run again"):
        check_data({"one": one, "two": other})
    scores = replace(ratings, scores=ratings.scores[:, ::-1].copy())
    rho = BehaviouralAccuracy(scores, "memorability", n_components=5).score(store, layers)
    with pytest.raises(ValueError, match="memorability: two was compared with other ratings than one"):
        check_data({"one": one, "two": gather_model("two", layers, [], [rho], [])})


def ceilings_of(recordings):
    return [estimate_ceiling(recordings, "IT")]
