"""The representation that a network's classifier reads, where one of its layers is that."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from layerwise.models import registry


def find_penultimate(layers: pd.DataFrame, network: str) -> str | None:
    """Find the layer that gives just what the classifier of a network of the registry reads.

    Parameters
    ----------
    layers : DataFrame
        The rows of one network, with layer, units and depth.
    network : str
        Its name in the registry.

    Returns
    -------
    str or None
        None where no layer is known to be that: functions between the last layer and the classifier, such as a
        pooling, give other units, and are no module (DenseNet, DPN, Inception-v3 and others).
    """
    if network not in registry.names():
        return None
    row, ordered = registry.find(network), layers.sort_values("depth")
    place = ordered["layer"].to_numpy() == row.classifier
    if not place.any() or not place.argmax():
        return None
    before = ordered.iloc[int(place.argmax()) - 1]
    return str(before["layer"]) if before["units"] == row.penultimate_dim else None


def add_penultimate(
    networks: pd.DataFrame, layers: pd.DataFrame, names: Sequence[str], regions: Sequence[str]
) -> pd.DataFrame:
    """Add the similarity of the penultimate representation before fine-tuning, where it was not scored by itself.

    Parameters
    ----------
    networks : DataFrame
        A row for each network: model and maybe `{region}_before`.
    layers : DataFrame
        A row for each layer of all networks.
    names : sequence of str
        Of each row's network in the registry.
    regions : sequence of str
        Columns of scores.

    Returns
    -------
    DataFrame
        The same with penultimate, the layer ("input of the classifier" where fine-tuning scored it, empty where it is
        not known), and `{region}_before` for each region.
    """
    table, by_model = networks.copy(), dict(list(layers.groupby("model", sort=False)))
    found = [find_penultimate(by_model[model], name) for model, name in zip(table["model"], names, strict=True)]
    columns = [f"{region}_before" for region in regions]
    table = table.reindex(columns=[*table.columns, *(name for name in columns if name not in table)])
    scored = table[columns].notna().any(axis=1).to_numpy()
    layer = np.array([name or "" for name in found], dtype=object)
    table["penultimate"] = np.where(scored, "input of the classifier", layer)
    values = table[columns].to_numpy(float).copy()
    for number in np.flatnonzero(~scored & (layer != "")):
        rows = by_model[table["model"].iloc[number]]
        values[number] = rows.loc[rows["layer"] == layer[number], list(regions)].to_numpy(float)[0]
    table[columns] = values
    return table
