"""Gathering fine-tuned networks: numbers by hand, and everything that must not be joined is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from finetuned_tables import REGIONS, fold, scores
from scipy.stats import spearmanr

from layerwise.analyses.finetuned import FoldTables, gather_finetuned, join_networks
from layerwise.interfaces import DegenerateWarning, Ratings, Split

N = 40


@pytest.fixture
def ratings(rng):
    splits = []
    for _ in range(2):
        order = rng.permutation(N)
        splits.append(Split(np.sort(order[:24]), np.sort(order[24:32]), np.sort(order[32:])))
    return Ratings(tuple(f"{index:02d}.png" for index in range(N)), rng.random((2, N)), splits)


@pytest.fixture
def gathered(rng, ratings):
    """The tables of a network, and a function that gathers them, some of them changed."""
    folds, before = [fold(rng, ratings, split) for split in (1, 2)], scores(rng, "w")

    def gather(folds=folds, before=before, ratings=ratings, regions=REGIONS):
        return gather_finetuned("m", folds, before, ratings, "memorability", regions)

    return folds, before, gather


def test_a_row_a_split_with_what_scipy_and_pandas_give(gathered):
    folds, before, gather = gathered
    table = gather()
    assert list(table["split"]) == ["1", "2"]
    for row, one in zip(table.itertuples(), folds, strict=True):
        test = one.predictions[one.predictions["part"] == "test"]
        assert row.rho == pytest.approx(spearmanr(test["score"], test["predicted"]).statistic, abs=1e-12)
        assert row.rho_validation == one.history["rho"][1]
        assert (row.best_epoch, row.epochs, row.n_train, row.n_val, row.n_test) == (2, 3, 24, 8, 8)
        for region in REGIONS:
            for when, wanted in (("before", before), ("after", one.scores)):
                expected = wanted.loc[wanted["region"] == region, "r"].mean()
                assert getattr(row, f"{region}_{when}") == pytest.approx(expected, abs=1e-12)
    assert table.attrs["data"]["IT"]["recordings"] == "of IT"


def test_a_split_that_diverged_has_a_row_without_values_and_the_others_theirs(rng, ratings, gathered):
    folds, _, gather = gathered
    whole, lost = gather(), fold(rng, ratings, 2, diverged="the loss of step 3 of epoch 3 is inf")
    lost = replace(
        lost,
        history=kept(lost.history, best=False, rho=[0.1, 0.2, np.nan]),
        predictions=kept(lost.predictions, predicted=np.nan),
        scores=kept(lost.scores, r=np.nan),
    )
    with pytest.warns(
        DegenerateWarning, match=r"of m diverged on 1 of 2 splits, which have no values \(2: the loss of"
    ):
        table = gather(folds=[folds[0], lost])
    pd.testing.assert_frame_equal(table[:1], whole[:1])
    row = table.iloc[1]
    assert row[["rho", "rho_validation", "V1_after", "IT_after"]].isna().all()
    assert list(row[["best_epoch", "epochs", "n_train", "n_val", "n_test"]]) == [0, 3, 24, 8, 8]
    assert row["reason"] == "training diverged: the loss of step 3 of epoch 3 is inf"
    assert row["IT_before"] == whole["IT_before"][0] and table["best_epoch"].dtype == whole["best_epoch"].dtype
    with pytest.raises(ValueError, match="1 epochs of its history are marked as the best"):
        gather(folds=[folds[0], replace(lost, history=kept(lost.history, best=[True, False, False]))])


def kept(table, **columns):
    """Change columns of a table, which says the same of where it is from."""
    changed = table.assign(**columns)
    changed.attrs = table.attrs
    return changed


def test_images_held_out_of_training_where_there_is_no_validation_part(rng, ratings, gathered):
    splits = [Split(np.union1d(one.train, one.validation), one.test) for one in ratings.splits]
    without = Ratings(ratings.stimuli, ratings.scores, splits)
    folds = [fold(rng, without, split, validation=without.splits[split - 1].train[:5]) for split in (1, 2)]
    table = gathered[2](folds=folds, ratings=without)
    assert list(table["n_val"]) == [5, 5] and list(table["n_train"]) == [27, 27]


def test_a_study_without_regions_has_accuracy_alone(gathered):
    folds, _, gather = gathered
    bare = [FoldTables(one.split, one.history, one.predictions, pd.DataFrame()) for one in folds]
    table = gather(folds=bare, before=pd.DataFrame(), regions=[])
    assert not [column for column in table if column.endswith(("_before", "_after"))]
    assert table["rho"].notna().all()


def changed(rng, ratings, change):
    one = fold(rng, ratings, 1)
    history, shown, after = one.history.copy(), one.predictions.copy(), one.scores.copy()
    tests, watched = shown.index[shown["part"] == "test"], shown.index[shown["part"] == "val"]
    split = ratings.splits[0]
    if change == "test image trained on":
        shown.loc[tests[0], "stimulus"] = ratings.stimuli[split.train[0]]
    elif change == "test image watched":
        shown.loc[watched[0], ["stimulus", "score"]] = ratings.stimuli[split.test[0]], ratings.scores[0, split.test[0]]
    elif change == "left out":
        shown = shown.drop(tests[0])
    elif change == "twice":
        shown.loc[tests[0], "stimulus"] = shown.loc[tests[1], "stimulus"]
    elif change == "scores of the other split":
        shown["score"] = shown["stimulus"].map(dict(zip(ratings.stimuli, ratings.scores[1], strict=True)))
    elif change == "other split":
        shown["split"] = "2"
    elif change == "no best epoch":
        history["best"] = False
    elif change == "another training":
        shown.attrs = {"origins": {**shown.attrs["origins"], "code": "other"}}
    elif change == "scored with weights of another training":
        after.attrs = {"data": {name: {**one, "training": "other"} for name, one in after.attrs["data"].items()}}
    elif change == "recordings":
        after.attrs = {"data": {name: {**one, "recordings": "other"} for name, one in after.attrs["data"].items()}}
    elif change == "no region":
        after = after[after["region"] != "IT"]
    else:
        raise AssertionError(change)
    after.attrs = after.attrs or one.scores.attrs
    return FoldTables("1", history, shown, after)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("test image trained on", "split 1 of m: 2 test images are predicted but not in its test part"),
        ("test image watched", "split 1 of m: 2 validation images are predicted but not in its validation part"),
        ("left out", "split 1 of m: 1 test images .* or the other way round"),
        ("twice", "test images are predicted twice"),
        ("scores of the other split", "split 1 of m: .* scores that are not those of this split"),
        ("other split", "split 1 of m: its predictions are of other splits"),
        ("no best epoch", "split 1 of m: 0 epochs of its history are marked as the best"),
        ("another training", "split 1 of m: its history and its predictions are of different trainings"),
        ("scored with weights of another training", "split 1 of m: V1 was scored with the weights of another training"),
        ("recordings", "m: V1 before fine-tuning and after split 1 were scored with other recordings"),
        ("no region", "m after split 1: no scores of the penultimate layer against IT"),
    ],
)
def test_what_must_not_be_gathered_is_refused_and_named(rng, ratings, gathered, change, told):
    with pytest.raises(ValueError, match=told):
        gathered[2](folds=[changed(rng, ratings, change), gathered[0][1]])


def test_a_network_that_started_elsewhere_and_splits_trained_otherwise_are_refused(rng, ratings, gathered):
    with pytest.raises(ValueError, match=r"V1 before fine-tuning and after split 1 .* other pretrained weights"):
        gathered[2](before=scores(rng, "others"))
    with pytest.raises(ValueError, match="m: splits 1 and 2 were trained with different settings"):
        gathered[2](folds=[gathered[0][0], fold(rng, ratings, 2, settings="others")])


def test_few_images_watched_in_bf16_may_be_in_another_order_than_in_32_bits(rng, ratings, gathered):
    one = fold(rng, ratings, 1)
    one.history.loc[1, "rho"] -= 0.5
    assert gathered[2](folds=[one, gathered[0][1]])["rho_validation"][0] == one.history["rho"][1]


def test_predictions_that_do_not_vary_have_no_rho(rng, ratings, gathered):
    one = fold(rng, ratings, 1)
    one.predictions["predicted"] = 0.5
    one.history["rho"] = np.nan
    row = gathered[2](folds=[one, gathered[0][1]]).iloc[0]
    assert np.isnan(row["rho"]) and np.isnan(row["rho_validation"])


def test_networks_are_joined_if_they_were_trained_alike(gathered):
    first = gathered[2]()
    second = first.assign(model="other")
    second.attrs = first.attrs
    joined = join_networks({"m": first, "other": second})
    assert list(joined["model"]) == ["m", "m", "other", "other"]

    def with_hash(name, key):
        other = first.assign(model="other")
        other.attrs = {"data": {**first.attrs["data"], name: {**first.attrs["data"][name], key: "else"}}}
        return {"m": first, "other": other}

    with pytest.raises(ValueError, match="m and other were trained with different settings"):
        join_networks(with_hash("memorability", "settings"))
    with pytest.raises(ValueError, match="memorability: other was compared with other ratings than m"):
        join_networks(with_hash("memorability", "ratings"))
    with pytest.raises(ValueError, match="IT: other was compared with other recordings than m"):
        join_networks(with_hash("IT", "recordings"))
