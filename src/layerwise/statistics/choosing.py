"""Which layers a statistic is of: those that have all its values."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.interfaces import DegenerateWarning, agreeing, counted
from layerwise.statistics.clusters import Clusters
from layerwise.statistics.intervals import Unit

FEWEST = 3  # layers that a correlation needs


@dataclass(frozen=True)
class Chosen:
    """The layers that have all values, and how many have not.

    Parameters
    ----------
    table : DataFrame
        Their rows.
    columns : tuple of str
        The columns that they have values in.
    undefined : int
        Layers left out.
    """

    table: pd.DataFrame
    columns: tuple[str, ...]
    undefined: int

    @property
    def n_layers(self) -> int:
        """How many layers."""
        return len(self.table)

    @property
    def n_networks(self) -> int:
        """How many networks they are of."""
        return int(self.table["model"].nunique())

    @property
    def n_families(self) -> int:
        """How many families these are of."""
        return int(self.table["family"].nunique())

    @property
    def values(self) -> NDArray[np.float64]:
        """Float array [layer, column]."""
        return self.table[list(self.columns)].to_numpy(float)

    def clusters(self, unit: Unit = "network") -> Clusters:
        """Return the clusters of the layers."""
        return Clusters.of(self.table["model" if unit == "network" else "family"])

    def undefined_because(self) -> str:
        """Why no correlation of the columns is defined; empty where it is."""
        if len(self.table) < FEWEST:
            return f"{counted(len(self.table), 'layer has', 'layers have')} all values, and {FEWEST} are needed"
        flat = [name for name, column in zip(self.columns, self.values.T, strict=True) if np.ptp(column) == 0]
        return f"{' and '.join(flat)} {agreeing(len(flat), 'does', 'do')} not vary" if flat else ""


def without_empty(layers: pd.DataFrame, regions: Sequence[str]) -> tuple[list[str], str]:
    """Leave out regions that have not one value, which would take the layers of all others with them.

    Returns
    -------
    list of str, str
        The regions that are left, and a remark that names the others; empty where there are none.
    """
    known = [region for region in regions if np.isfinite(layers[region].to_numpy(float)).any()]
    empty = [region for region in regions if region not in known]
    return known, f"without {' and '.join(empty)}, of which no layer has a value" if empty else ""


def why_no_interval(clusters: int, unit: Unit) -> str:
    """Say why a value that is defined has no interval by the jackknife."""
    if clusters < 2:
        return f"one {unit} only: there is no interval between {'networks' if unit == 'network' else 'families'}"
    return f"undefined without one of the {clusters} {'networks' if unit == 'network' else 'families'}"


def choose_layers(layers: pd.DataFrame, columns: Sequence[str], warn: bool = True) -> Chosen:
    """Choose the layers that have a finite value in each column.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer: model, the columns, and family where networks have families; else each is its own.
    columns : sequence of str
        Regions, measures and others.
    warn : bool
        Whether to count what is left out in a warning.

    Warns
    -----
    DegenerateWarning
        Layers lack a value.
    """
    kept = layers[np.isfinite(layers[list(columns)].to_numpy(float)).all(axis=1)]
    if "family" not in kept:
        kept = kept.assign(family=kept["model"])
    undefined = len(layers) - len(kept)
    if undefined and warn:
        warnings.warn(
            f"{' and '.join(columns)}: {undefined} of {len(layers)} layers {agreeing(undefined, 'lacks', 'lack')} a "
            "value: left out",
            DegenerateWarning,
            stacklevel=3,
        )
    return Chosen(kept, tuple(columns), undefined)
