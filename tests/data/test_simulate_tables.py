"""Simulated tables hold what their model plants, in the columns of a real study's."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from layerwise.analyses.gather import gather_model
from layerwise.data.simulate_tables import (
    COLUMNS,
    MEASURE,
    PLANTED,
    SPLITS,
    SimulatedNetwork,
    _correlations,
    population_rho,
    simulate_finetuned,
    simulate_layers,
)
from layerwise.interfaces import LayerSpec


def layers(n):
    return [LayerSpec(f"layer{i}", "ReLU", (4, 3), 12, i) for i in range(1, n + 1)]


def networks(n=12, size=30, families=4):
    return {f"n{i}": SimulatedNetwork(layers(size), f"f{i % families}", 60.0 + i) for i in range(n)}


def test_the_columns_are_those_that_gathering_gives():
    one = networks(1)["n0"].layers
    names = [layer.name for layer in one]
    brain = [pd.DataFrame({"layer": names, "region": region, "split": 0, "neuroid": 0, "r": 0.5}) for region in PLANTED]
    ceilings = [pd.DataFrame({"region": [region], "half": 0, "neuroid": 0, "ceiling": 0.9}) for region in PLANTED]
    rated = pd.DataFrame({"layer": names, "measure": MEASURE, "split": 0, "rho": 0.5})
    gathered = gather_model("n0", one, brain, [rated], ceilings)
    simulated = simulate_layers(networks(1))
    assert list(simulated.columns) == list(gathered.columns)
    assert simulated.dtypes.to_dict() == gathered.dtypes.to_dict()


def test_a_seed_decides_everything():
    one, again, other = (simulate_layers(networks(), seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, again)
    assert not np.allclose(one["IT"], other["IT"])
    assert one.attrs["simulated"].endswith("seed 1")


@pytest.mark.parametrize("region", PLANTED)
def test_what_is_planted_is_what_many_networks_have(region):
    rng = np.random.default_rng(3)
    many = {
        f"n{i}": SimulatedNetwork(layers(40), f"f{i}", float(rng.normal(75, 5))) for i in range(1200)
    }  # a family each: as many independent effects as networks
    table = simulate_layers(many, seed=4)
    found = stats.spearmanr(table[region], table[MEASURE]).statistic
    assert found == pytest.approx(population_rho(region), abs=0.035)


def test_the_correlations_of_a_level_are_possible():
    matrix = _correlations()
    np.testing.assert_array_equal(matrix, matrix.T)
    assert np.linalg.eigvalsh(matrix).min() > 0


def test_networks_and_families_share_effects():
    table = simulate_layers(networks(200, 20, families=10), seed=5)
    between = table.groupby("model")[MEASURE].mean()
    by_family = between.groupby(table.groupby("model")["model"].first().map(lambda name: int(name[1:]) % 10))
    assert stats.f_oneway(*[group.to_numpy() for _, group in by_family]).pvalue < 0.01
    rows = [group[MEASURE].to_numpy() for _, group in table.groupby("model")]
    assert stats.f_oneway(*rows).pvalue < 1e-10


def test_scores_have_the_spread_of_their_splits_and_lie_in_bounds():
    table = simulate_layers(networks(20, 100))
    for name in COLUMNS:
        assert table[name].between(-1, 1).all()
        assert (table[f"{name}_splits"] == SPLITS[name]).all()
    np.testing.assert_allclose(table["IT_ceiled_2020"], (table["IT"] / table["IT_ceiling"]) ** 2)
    np.testing.assert_allclose(table["IT_ceiled_2026"], table["IT"] ** 2 / table["IT_ceiling"])


def test_layers_without_scores_are_as_many_as_asked():
    table = simulate_layers(networks(), undefined=7)
    assert (table[list(COLUMNS)].isna().sum() == 7).all()
    assert (table.loc[table["IT"].isna(), "IT_splits"] == 0).all()
    with pytest.raises(ValueError, match="999 layers cannot be undefined: give a number from 0 to 360"):
        simulate_layers(networks(), undefined=999)


def test_one_network_without_an_accuracy_and_one_layer():
    one = {"only": SimulatedNetwork(layers(1), "f", None)}
    table = simulate_layers(one)
    assert table[list(COLUMNS)].notna().all(axis=None)
    assert simulate_finetuned(table, one)["rho"].notna().all()


def test_fine_tuned_networks_have_a_row_a_split_and_correlate_with_it():
    many = networks(400, 10)
    table = simulate_layers(many, seed=6)
    tuned = simulate_finetuned(table, many, seed=6)
    assert list(tuned["split"].iloc[:6]) == ["1", "2", "3", "4", "5", "1"]
    assert list(tuned["model"].unique()) == list(many)
    before = table.groupby("model", sort=False).nth(-2).set_index("model")["IT"]
    means = tuned.groupby("model", sort=False).mean(numeric_only=True)
    np.testing.assert_allclose(means["IT_before"], before)
    after, earlier = (stats.spearmanr(means["rho"], means[f"IT_{when}"]).statistic for when in ("after", "before"))
    assert after > 0.4 and after > earlier + 0.15
