"""The table of streamed scores says what the table of stored ones says."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from layerwise.analyses.streamed import score_predictions
from layerwise.interfaces import DegenerateWarning, LayerSpec, Ratings, Split


def test_rho_of_each_split_on_its_own_scores(rng):
    ids = tuple(f"image{row:02d}" for row in range(40))
    orders = [rng.permutation(40) for _ in range(3)]
    splits = [Split(np.sort(order[:30]), np.sort(order[30:])) for order in orders]
    scores = rng.standard_normal((3, 40))
    layers = [LayerSpec(name, "ReLU", (30,), 30, depth) for depth, name in enumerate(("one", "two"), start=1)]
    predictions = rng.standard_normal((2, 40, 3))
    predictions[1] = np.nan
    attributes = {"model": "net", "weights": "w"}
    table = score_predictions(predictions, layers, Ratings(ids, scores, splits), "memorability", 1, attributes)
    assert list(table.columns) == ["model", "layer", "measure", "split", "rho"]
    assert list(table["layer"]) == ["one"] * 3 + ["two"] * 3
    expected = [spearmanr(predictions[0, s.test, i], scores[i, s.test])[0] for i, s in enumerate(splits)]
    assert list(table["rho"][:3]) == pytest.approx(expected)
    assert table["rho"][3:].isna().all()
    assert table.attrs["data"]["memorability"]["weights"] == "w"


def test_a_layer_with_fewer_units_than_components_has_no_score(rng):
    ids, split = tuple(f"image{row:02d}" for row in range(40)), Split(np.arange(30), np.arange(30, 40))
    layers = [LayerSpec("few", "Linear", (24,), 24, 1), LayerSpec("enough", "Linear", (25,), 25, 2)]
    ratings = Ratings(ids, rng.standard_normal((1, 40)), [split])
    with pytest.warns(DegenerateWarning, match=r"few \(24 units\)"):
        table = score_predictions(rng.standard_normal((2, 40, 1)), layers, ratings, "m", 25, {"model": "net"})
    assert table["rho"].isna().tolist() == [True, False]
