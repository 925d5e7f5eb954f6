"""Brain-Score's own numbers (brainscore-vision 2.4.2), for a case that is drawn anew from its recipe."""

import json

import numpy as np
import pytest
from regression_oracles import converged, plain_r

from layerwise.regression import internal_consistency, make_splits, score_neuroids

N_STIMULI, N_UNITS, N_NEUROIDS, N_CAUSES, N_REPETITIONS = 128, 500, 30, 12, 10
CENTRE, ERROR = 0.9159476902690503, 0.004345136703978363
CEILING_CENTRE, CEILING_ERROR = 0.8812033267115773, 0.0014128163898466108
MEDIANS = [
    0.9348635770582427,
    0.9093836185374862,
    0.9350436787237602,
    0.9294712644065285,
    0.9091305487499921,
    0.9130205388806532,
    0.9170873777342982,
    0.9100499198008736,
    0.886851814951988,
    0.9145745638466812,
]


@pytest.fixture(scope="module")
def case():
    """Units, repetitions and strata in the order of the sorted ids."""
    draw = np.random.RandomState(20200513)
    causes = draw.randn(N_STIMULI, N_CAUSES)
    units = causes @ draw.randn(N_CAUSES, N_UNITS) + 2.0 * draw.randn(N_STIMULI, N_UNITS)
    signal = causes @ draw.randn(N_CAUSES, N_NEUROIDS)
    repetitions = signal + 4.0 * draw.randn(N_REPETITIONS, N_STIMULI, N_NEUROIDS)
    ids = np.array([f"img{index:03d}" for index in range(N_STIMULI)])
    draw.shuffle(ids)
    order = np.argsort(ids)
    return units[order], repetitions[:, order], np.repeat(np.arange(8), N_STIMULI // 8)[order]


def centre_and_error(raw):
    medians = np.median(raw, axis=1)
    return medians.mean(), medians.std() / np.sqrt(len(medians))


def test_scikit_learn_mode_gives_brain_scores_numbers(case):
    units, repetitions, strata = case
    raw = score_neuroids(units, repetitions.mean(0), make_splits(strata), solver="scikit-learn")
    np.testing.assert_allclose(np.median(raw, axis=1), MEDIANS, rtol=0, atol=1e-12)
    np.testing.assert_allclose(centre_and_error(raw), (CENTRE, ERROR), rtol=0, atol=1e-12)


def test_exact_mode_is_what_the_iterations_converge_to(case):
    units, repetitions, strata = case
    responses, splits = repetitions.mean(0), make_splits(strata)
    expected = plain_r(converged(units, responses, splits, 25), responses, splits)
    np.testing.assert_allclose(score_neuroids(units, responses, splits), expected, rtol=0, atol=1e-6)


def test_ceilings_are_brain_scores(case):
    _, repetitions, _ = case
    ceilings = internal_consistency(repetitions)
    medians = np.median(ceilings, axis=1)
    assert medians.mean() == pytest.approx(CEILING_CENTRE, abs=1e-12)
    assert medians.std() / np.sqrt(10) == pytest.approx(CEILING_ERROR, abs=1e-12)


def test_every_r_and_ceiling_of_the_stored_case(case, shared):
    units, _, strata = case
    stored = np.load(shared("reference", "golden_pls.npz"))
    order = np.argsort(stored["ids"])
    np.testing.assert_allclose(stored["X"][order], units, rtol=0, atol=1e-13)
    raw = score_neuroids(stored["X"][order], stored["target"], make_splits(strata), solver="scikit-learn")
    np.testing.assert_allclose(raw, stored["raw"], rtol=0, atol=1e-12)
    ceilings = internal_consistency(stored["reps"][:, order])
    np.testing.assert_allclose(ceilings, stored["ceiling_raw"], rtol=0, atol=1e-12)
    published = json.loads(shared("reference", "golden_pls.json").read_text())["pls"]
    assert centre_and_error(raw)[0] == pytest.approx(published["center"], abs=1e-12)


def test_splits_are_those_of_the_stored_case(case, shared):
    stored, ids = np.load(shared("reference", "golden_pls.npz")), [f"img{i:03d}" for i in range(N_STIMULI)]
    for split, train, test in zip(make_splits(case[2]), stored["train_ids"], stored["test_ids"], strict=True):
        assert [ids[i] for i in split.train] == list(train)
        assert [ids[i] for i in split.test] == list(test)
