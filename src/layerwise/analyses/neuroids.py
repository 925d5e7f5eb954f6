"""How uncertain scores are because neuroids are a sample: a network's scores in samples of them."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.interfaces import FITTED, measured_as
from layerwise.statistics.scores import DrawnScores, draw_scores

CEILED = ("ceiled_2020", "ceiled_2026")
ERRORS = {"neuroid_error": "raw", **{f"{name}_neuroid_error": name for name in CEILED}}  # columns, and what varies


def draw_neuroids(
    brain: Sequence[pd.DataFrame], ceilings: Sequence[pd.DataFrame], draws: int, seed: int
) -> pd.DataFrame:
    """Score a network's layers on samples of each region's neuroids, which are the same for all networks.

    Parameters
    ----------
    brain : sequence of DataFrame
        Rows (layer, region, split) with r_neuroids, as `BrainSimilarity.score` gives. Measures that are one number a
        layer are left out.
    ceilings : sequence of DataFrame
        Rows (region, half, neuroid) with ceiling, in the same order of neuroids.
    draws, seed : int
        Number of samples, and their seed.

    Returns
    -------
    DataFrame
        Rows (layer, region): drawn (list: the score in each sample), and standard deviations over samples:
        neuroid_error of the score, ceiled_2020_neuroid_error and ceiled_2026_neuroid_error of the ceiled ones. Its
        `attrs` hold the draws and the seed.

    Raises
    ------
    ValueError
        Ceilings are of other neuroids than scores.
    """
    halves = {str(region): rows for table in ceilings for region, rows in table.groupby("region")}
    scored = pd.concat(brain).groupby("region", sort=False) if brain else ()
    of_neuroids = [(str(column), rows) for column, rows in scored if measured_as(str(column), halves)[1] in FITTED]
    tables = [
        _draw_region(column, rows, halves[measured_as(column, halves)[0]], draws, seed) for column, rows in of_neuroids
    ]
    columns = ["layer", "region", "drawn", *ERRORS]
    table = pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)
    table.attrs = {"draws": draws, "seed": seed}
    return table


def _draw_region(region: str, rows: pd.DataFrame, ceilings: pd.DataFrame, draws: int, seed: int) -> pd.DataFrame:
    layers = dict(iter(rows.sort_values("split", kind="stable").groupby("layer", sort=False)["r_neuroids"]))
    scores = np.stack([np.stack(list(one)) for one in layers.values()])  # [layer, split, neuroid]
    halves = ceilings["ceiling"].to_numpy(float).reshape(ceilings["half"].nunique(), -1)
    if halves.shape[1] != scores.shape[2]:
        raise ValueError(
            f"{region}: its ceilings are of {halves.shape[1]} neuroids, and its scores of {scores.shape[2]}: delete "
            "both, and run again"
        )
    drawn = draw_scores(scores, halves, draws, seed)
    table = pd.DataFrame({"layer": list(layers), "region": region, "drawn": list(drawn.raw.T)})
    return table.assign(**_errors(drawn))


def _errors(drawn: DrawnScores) -> dict[str, NDArray[np.float64]]:
    return {name: getattr(drawn, kind).std(axis=0, ddof=1) for name, kind in ERRORS.items()}


def add_errors(layers: pd.DataFrame, drawn: pd.DataFrame) -> None:
    """Add to a network's table of layers the errors of each region, where it has a score.

    Parameters
    ----------
    layers : DataFrame
        As `gather_model` gives; gets columns such as IT_neuroid_error.
    drawn : DataFrame
        As `draw_neuroids` gives.
    """
    for region, rows in drawn.groupby("region", sort=False):
        of_layer = rows.set_index("layer")
        for name in ERRORS:
            layers[f"{region}_{name}"] = layers["layer"].map(of_layer[name]).where(layers[str(region)].notna())


def align_drawn(
    layers: pd.DataFrame, drawn: Iterable[tuple[str, pd.DataFrame]], regions: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Put the drawn scores of all networks in the order of the table of layers: [draw, layer] for each region.

    Raises
    ------
    ValueError
        A layer has none, or networks have other samples.
    """
    tables = dict(drawn)
    kinds = {(one.attrs.get("draws"), one.attrs.get("seed")) for one in tables.values()}
    whole = pd.concat([one.assign(model=model) for model, one in tables.items()])
    found = whole.set_index(["region", "model", "layer"])["drawn"]
    wanted = {
        region: pd.MultiIndex.from_arrays([[region] * len(layers), layers["model"], layers["layer"]])
        for region in regions
    }
    missing = [place for places in wanted.values() for place in places[~places.isin(found.index)]]
    if missing or len(kinds) > 1:
        where = f"{' '.join(missing[0])} has none" if missing else f"networks have {len(kinds)} kinds of samples"
        raise ValueError(f"samples of neuroids do not fit the table of layers ({where}): gather all networks again")
    return {region: np.stack(list(found.loc[places])).T for region, places in wanted.items()}
