import numpy as np
import pandas as pd

from layerwise.statistics import summarise_models


def test_best_layer_of_each_network():
    layers = pd.DataFrame(
        {
            "model": ["a", "a", "a", "b", "b"],
            "layer": ["x", "y", "z", "x", "y"],
            "depth": [1, 2, 4, 1, 2],
            "V1": [0.1, 0.3, 0.2, np.nan, np.nan],
            "memorability": [0.1, 0.2, 0.4, 0.5, np.nan],
        }
    )
    nested = {"a": {"V1": {"nested": 0.25, "same": 0.5}, "memorability": {"nested": None, "same": None}}}
    result = summarise_models(layers, ["V1", "memorability"], nested)
    assert result.pop("nested").fillna(-1).to_list() == [0.25, -1, -1]  # -1: not known
    assert result.pop("same").fillna(-1).to_list() == [0.5, -1, -1]
    assert result[["ceiled_2020", "ceiled_2026"]].isna().all(axis=None)
    result = result.drop(columns=["ceiled_2020", "ceiled_2026"])
    ceiled = layers.assign(V1_ceiled_2020=layers["V1"] * 2, V1_ceiled_2026=layers["V1"] * 3)
    best = summarise_models(ceiled, ["V1", "memorability"]).iloc[:2]
    assert best["ceiled_2020"].fillna(-1).to_list() == [0.6, -1]
    assert best["ceiled_2026"].fillna(-1).round(9).to_list() == [0.9, -1]
    assert summarise_models(layers, ["V1"])["nested"].isna().all()
    assert result.to_dict("list") == {
        "model": ["a", "a", "b"],
        "target": ["V1", "memorability", "memorability"],
        "best_layer": ["y", "z", "x"],
        "relative_depth": [0.5, 1.0, 0.5],
        "value": [0.3, 0.4, 0.5],
    }
