"""Puts the results of the real run beside an independent measurement, and beside other draws of the splits.

python examples/real/compare.py results/real results/real-data/movies.nc ../shared/data/figrim60
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from layerwise.activations import ActivationStore
from layerwise.analyses.brain import BrainSimilarity, SplitPlan
from layerwise.analyses.memorability import BehaviouralAccuracy
from layerwise.data.ratings import read_ratings
from layerwise.data.recordings import read_recordings
from layerwise.interfaces import LayerSpec

DRAWS = 20
MEASURED = pd.DataFrame(
    {
        "V1_elsewhere": [0.68, 0.68, 0.68, 0.68],  # given as .67 to .69
        "V1_whole_movies_elsewhere": [0.18, 0.17, 0.15, 0.07],
        "memorability_elsewhere": [0.20, 0.24, 0.44, 0.67],
    },
    # features.12 joins two leaves, and was measured whole; the leaf that gives its second half stands for it.
    index=["features.2", "features.5", "features.8", "features.12.expand3x3_activation"],
)


def other_movies(results: Path, movies: Path) -> pd.DataFrame:
    """Median r with whole movies held out, for other draws of the movies, and its standard deviation over splits."""
    recordings = read_recordings(movies, ["V1"])
    store, layers = _open(results, "movies")
    plans = {
        "whole_movies_seed_1": SplitPlan("grouped", by="movie"),
        "whole_movies_seed_2": SplitPlan("grouped", by="movie", seed=2),
        "whole_movies_5_folds": SplitPlan("kfold", by="movie", n_splits=5),
    }
    rows = {}
    for name, plan in plans.items():
        scores = BrainSimilarity(recordings, "V1", plan).score(store, layers).groupby("layer", sort=False)["r"]
        rows |= {name: scores.mean(), f"{name}_sd": scores.std()}
    return pd.DataFrame(rows)


def _open(results: Path, stimuli: str) -> tuple[ActivationStore, list[LayerSpec]]:
    store = ActivationStore(results / f"models/squeezenet1_1/activations/{stimuli}.h5")
    return store, [layer for layer in store.layers if layer.name in MEASURED.index]


def spread(results: Path, photographs: Path) -> pd.DataFrame:
    """Mean and standard deviation of rho over draws of the folds, for the layers that were measured elsewhere."""
    store, layers = _open(results, "figrim")
    draws = []
    for seed in range(DRAWS):
        ratings, _ = read_ratings(photographs / "scores.csv", photographs / "images", seed=seed)
        table = BehaviouralAccuracy(ratings, "memorability").score(store, layers)
        draws.append(table.groupby("layer", sort=False)["rho"].mean())
    rho = np.array(draws)
    names = [layer.name for layer in layers]
    return pd.DataFrame({"memorability_mean": rho.mean(0), "memorability_sd": rho.std(0, ddof=1)}, index=names)


if __name__ == "__main__":
    results, movies, photographs = map(Path, sys.argv[1:])
    ours = pd.read_parquet(results / "layers.parquet").set_index("layer")[["V1", "V1_whole_movies", "memorability"]]
    table = MEASURED.join(ours).join(other_movies(results, movies)).join(spread(results, photographs))
    print(table.sort_index(axis=1).round(2).T.to_string())
