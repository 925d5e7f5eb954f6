"""Tables of a study with planted correlations, at full size, without running a network.

The model. Before it is squeezed between -1 and 1, a value of a layer is the sum of

- a bump over the relative depth, the same for all networks (`BUMPS`), and a fall towards the end, steeper the more
  accurate a network is on ImageNet (`FALL`);
- an effect of the family, and one of the network, which is in part its accuracy on ImageNet (`ACCURACY`);
- a smooth profile of the network, of four cosines over depth, and noise of each layer (`LEVELS`).

At each level the columns are jointly normal with the same correlations (`PLANTED`, `AMONG`). Scores of single splits
have noise besides; tables hold their mean and its error, as those of a study do. `population_rho` says what follows
from all this for the correlation over layers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import asin, pi, sqrt

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.interfaces import LayerSpec

SIMULATED = "simulated by layerwise simulate tables"  # under "simulated" in the attributes of each table
MEASURE = "memorability"
PLANTED = {"V1": 0.50, "V2": 0.80, "V4": 0.25, "IT": 0.80}  # correlation of a region with the measure
AMONG = {("V1", "V2"): 0.5, ("V2", "IT"): 0.6, ("V4", "IT"): 0.3}  # of two regions; of others 0.25
OTHERS = 0.25
BUMPS = {"V1": (0.5, 1.0), "V2": (0.65, 1.0), "V4": (0.5, 0.6), "IT": (0.75, 1.5), MEASURE: (0.8, 1.5)}  # at, height
WIDTH = 0.35
LEVELS = {"family": 0.35, "network": 0.45, "smooth": 0.3, "layer": 0.4}  # standard deviations; smooth: of a cosine
COSINES = 4
ACCURACY = {"V1": -0.2, "V2": 0.1, "V4": -0.1, "IT": 0.95, MEASURE: 0.5}  # share of a network's effect
FALL, LATE = {"IT": -1.3}, 30  # for each standard deviation of accuracy, times relative depth to this power
CENTRE = {"V1": 0.26, "V2": 0.24, "V4": 0.50, "IT": 0.36, MEASURE: 0.42}
SPREAD = {"V1": 0.06, "V2": 0.05, "V4": 0.07, "IT": 0.08, MEASURE: 0.10}  # of a value, for one of the sum
CEILINGS = {"V1": 0.873, "V2": 0.825, "V4": 0.895, "IT": 0.822}
SPLITS = {"V1": 10, "V2": 10, "V4": 10, "IT": 10, MEASURE: 5}
SPLIT_NOISE = {"V1": 0.03, "V2": 0.03, "V4": 0.015, "IT": 0.015, MEASURE: 0.01}
COLUMNS = (*PLANTED, MEASURE)


@dataclass(frozen=True)
class SimulatedNetwork:
    """A network whose scores are simulated.

    Parameters
    ----------
    layers : sequence of LayerSpec
        In order of depth.
    family : str
        Its family.
    accuracy : float or None
        Its ImageNet accuracy, per cent; None stands for the mean of the others.
    """

    layers: Sequence[LayerSpec]
    family: str
    accuracy: float | None = None


def simulate_layers(networks: Mapping[str, SimulatedNetwork], seed: int = 1, undefined: int = 0) -> pd.DataFrame:
    """Simulate the table of a study's layers.

    Parameters
    ----------
    networks : mapping of str to SimulatedNetwork
        By name.
    seed : int
        Decides everything.
    undefined : int
        Layers, drawn at random, whose scores are NaN, as those of a constant layer are.

    Returns
    -------
    DataFrame
        The columns of a study's layers.parquet.

    Raises
    ------
    ValueError
        There are fewer layers than are to be undefined.
    """
    rng = np.random.default_rng(seed)
    table = _describe(networks)
    if not 0 <= undefined <= len(table):
        raise ValueError(f"{undefined} layers cannot be undefined: give a number from 0 to {len(table)}, all layers")
    lost = rng.choice(len(table), undefined, replace=False)
    sums = _draw_sums(networks, rng)
    for number, name in enumerate(COLUMNS):
        _add_scores(table, name, sums[:, number], lost, rng)
    table.attrs = {"simulated": f"{SIMULATED}, seed {seed}"}
    return table


def simulate_finetuned(layers: pd.DataFrame, networks: Mapping[str, SimulatedNetwork], seed: int = 1) -> pd.DataFrame:
    """Simulate the table of fine-tuned networks: a row for each network and split.

    A network's accuracy rises with that of its best layer and with a gain of its own; IT similarity of the layer
    before the last grows with the same gain, so that the two correlate after fine-tuning.

    Parameters
    ----------
    layers : DataFrame
        What `simulate_layers` gave.
    networks : mapping of str to SimulatedNetwork
        The same.
    seed : int
        Decides everything.

    Returns
    -------
    DataFrame
        Columns model, split (from 1, as text), rho, rho_validation, best_epoch, epochs, n_train, n_val, n_test, reason,
        and for each region `{region}_before` and `{region}_after`, of the layer before the last.
    """
    rng = np.random.default_rng([seed, 1])
    of_network = layers.groupby("model", sort=False)
    before = pd.DataFrame([rows.iloc[-min(2, len(rows))] for _, rows in of_network]).reset_index(drop=True)
    gain = rng.standard_normal(len(before))
    skill = 0.64 + 0.01 * _standardise(of_network[MEASURE].max().to_numpy()) + 0.015 * gain
    table = pd.concat([_finetuned(split, before, skill, gain, rng) for split in range(1, SPLITS[MEASURE] + 1)])
    table = table.sort_index(kind="stable").reset_index(drop=True)
    table.attrs = {"simulated": f"{SIMULATED}, seed {seed}"}
    return table


def population_rho(region: str) -> float:
    """Return Spearman's rho of a region and the measure over layers that the model implies.

    Families and networks are taken to be infinitely many, layers as even over depth, and sums as normal, which the
    bumps make them nearly.
    """
    depth = np.linspace(0, 1, 10_000)
    pair = [region, MEASURE]
    tilts = np.array([FALL.get(name, 0) * depth**LATE + LEVELS["network"] * ACCURACY[name] for name in pair])
    covariance = np.cov([_bump(depth, name) for name in pair]) + tilts @ tilts.T / len(depth)
    others = LEVELS["family"] ** 2 + COSINES / 2 * LEVELS["smooth"] ** 2 + LEVELS["layer"] ** 2
    own = [LEVELS["network"] * sqrt(1 - ACCURACY[name] ** 2) for name in pair]
    covariance += (others + np.outer(own, own)) * _correlations()[np.ix_(*[[COLUMNS.index(name) for name in pair]] * 2)]
    return 6 / pi * asin(covariance[0, 1] / sqrt(covariance[0, 0] * covariance[1, 1]) / 2)


def _describe(networks: Mapping[str, SimulatedNetwork]) -> pd.DataFrame:
    rows = [
        (name, layer.name, layer.kind, "x".join(map(str, layer.shape)), layer.units, layer.depth, layer.same_as)
        for name, network in networks.items()
        for layer in network.layers
    ]
    return pd.DataFrame(rows, columns=["model", "layer", "class", "shape", "units", "depth", "same_as"])


def _correlations() -> NDArray[np.float64]:
    """Return the correlations of the columns at each level [column, column]."""
    pairs = {**AMONG, **{(region, MEASURE): rho for region, rho in PLANTED.items()}}
    return np.array(
        [
            [1.0 if one == two else pairs.get((one, two), pairs.get((two, one), OTHERS)) for two in COLUMNS]
            for one in COLUMNS
        ]
    )


def _draw_sums(networks: Mapping[str, SimulatedNetwork], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the sums of all levels [layer, column]."""
    factor = np.linalg.cholesky(_correlations()).T

    def draw(level: str, n: int) -> NDArray[np.float64]:
        return LEVELS[level] * rng.standard_normal((n, len(COLUMNS))) @ factor

    families = list(dict.fromkeys(network.family for network in networks.values()))
    of_family = dict(zip(families, draw("family", len(families)), strict=True))
    share = np.array([ACCURACY[name] for name in COLUMNS])
    fall = np.array([FALL.get(name, 0.0) for name in COLUMNS])
    found = []
    for network, accuracy in zip(networks.values(), _accuracies(networks), strict=True):
        depth = np.array([layer.depth for layer in network.layers], float)
        depth = (depth - 1) / max(depth.max() - 1, 1)
        effect = LEVELS["network"] * accuracy * share + np.sqrt(1 - share**2) * draw("network", 1)[0]
        waves = np.cos(pi * depth[:, None] * np.arange(1, COSINES + 1)) @ draw("smooth", COSINES)
        late = accuracy * depth[:, None] ** LATE * fall
        bumps = np.stack([_bump(depth, name) for name in COLUMNS], axis=1)
        found.append(bumps + late + of_family[network.family] + effect + waves + draw("layer", len(depth)))
    return np.concatenate(found)


def _bump(depth: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    place, height = BUMPS[name]
    bump: NDArray[np.float64] = height * np.exp(-(((depth - place) / WIDTH) ** 2) / 2)
    return bump


def _accuracies(networks: Mapping[str, SimulatedNetwork]) -> NDArray[np.float64]:
    """Return the accuracies, of mean 0 and deviation 1 over those that are known; 0 for the others [network]."""
    values = [network.accuracy for network in networks.values()]
    return np.nan_to_num(_standardise(np.array([np.nan if value is None else value for value in values], float)))


def _standardise(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = values[np.isfinite(values)]
    spread = known.std() if len(known) else 0
    return (values - known.mean()) / spread if spread > 0 else np.zeros_like(values)


def _add_scores(
    table: pd.DataFrame, name: str, sums: NDArray[np.float64], lost: NDArray[np.intp], rng: np.random.Generator
) -> None:
    splits = SPLITS[name]
    value = CENTRE[name] + SPREAD[name] * sums[:, None]
    scores = np.tanh(value + SPLIT_NOISE[name] * rng.standard_normal((len(sums), splits)))
    scores[lost] = np.nan
    table[name] = scores.mean(axis=1)
    table[f"{name}_error"] = scores.std(axis=1) / sqrt(splits)
    table[f"{name}_splits"] = np.isfinite(scores).sum(axis=1)
    if name in CEILINGS:
        table[f"{name}_ceiling"] = CEILINGS[name]
        table[f"{name}_ceiled_2020"] = (table[name] / CEILINGS[name]) ** 2
        table[f"{name}_ceiled_2026"] = table[name] ** 2 / CEILINGS[name]


def _finetuned(
    split: int, before: pd.DataFrame, skill: NDArray[np.float64], gain: NDArray[np.float64], rng: np.random.Generator
) -> pd.DataFrame:
    n = len(before)
    rho = skill + 0.004 * rng.standard_normal(n)
    best = rng.integers(8, 25, n)
    table = pd.DataFrame({"model": before["model"], "split": str(split), "rho": rho})
    table["rho_validation"] = rho + 0.006 * rng.standard_normal(n)
    table["best_epoch"], table["epochs"] = best, best + 10
    table["n_train"], table["n_val"], table["n_test"], table["reason"] = 45_000, 3_741, 10_000, ""
    for region in PLANTED:
        value = before[region].to_numpy(float)
        table[f"{region}_before"] = value
        noise = 0.005 * rng.standard_normal(n)
        table[f"{region}_after"] = np.clip(value + 0.08 * PLANTED[region] * (1 + gain) + noise, -1, 1)
    return table
