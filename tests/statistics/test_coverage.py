"""Intervals hold the truth as often as they say; benchmarks/coverage.py tries five scenarios at full size."""

from collections import Counter

import numpy as np
import pytest
from nested_studies import SCENARIOS, paper_sizes, simulate, true_rho, try_study
from scipy import stats

STUDIES = 100


def test_a_simulated_study_has_the_papers_shape(rng):
    sizes = paper_sizes()
    values, clusters = simulate(SCENARIOS["within"], sizes, rng)
    assert (len(sizes), len(values), len(clusters)) == (64, 16_862, 64)


@pytest.mark.parametrize("name", ["null", "like IT"])
def test_intervals_hold_the_truth_and_tests_are_seldom_wrong(name):
    """On half of the networks, a tenth as large; intervals that take layers as independent hold it far less often."""
    sizes, scenario = np.maximum(paper_sizes()[::2] // 10, 8), SCENARIOS[name]
    truth, held = true_rho(scenario, sizes, seed=1, rounds=4), Counter()
    for seed in range(STUDIES):
        held.update({key: int(value) for key, value in try_study(scenario, sizes, truth, 200, seed).items()})
    # What 100 studies of an exact 95 % interval, or 5 % test, give in 999 of 1000 cases.
    least, most = stats.binom.ppf([0.0005, 0.9995], STUDIES, 0.95)
    for part in ("total", "between", "within", "difference"):
        assert least <= held[f"covers: {part}, jackknife"] <= most, part
    assert held["covers: layers independent"] < 0.7 * STUDIES
    false = [
        "difference, jackknife",
        "difference, bootstrap",
        *(["correlation, jackknife", "correlation, permutation"] if name == "null" else []),
    ]
    for test in false:
        assert STUDIES - most <= held[f"finds: {test}"] <= STUDIES - least, test
