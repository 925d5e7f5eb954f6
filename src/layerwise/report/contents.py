"""What the page shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class Contents:
    """What the page shows, as tables.

    Parameters
    ----------
    study : str
        Its name.
    layers : DataFrame
        A row for each layer of all networks: model, layer, class, shape, units, depth, and scores with `_error`.
    networks : DataFrame
        A row for each network of `layers`: model, family, layers, top1, and what is drawn of networks.
    regions, measures : sequence of str
        Columns of `layers`.
    tables : mapping of str to DataFrame
        The study's other tables, by name. Figures show two of them: "correlations", rows (region, measure) with rho,
        low, high and n_layers, and "network_correlations", rows (figure, region) with x and y, columns of `networks`,
        rho, low, high and networks, their number.
    origins : DataFrame
        What the scores were made from: a row a fact.
    config : str
        The study's config as YAML; empty where it is not there.
    simulated : str
        How the tables were simulated; empty for those of a real study.
    kinds : mapping of str to str
        What brain scores are, of columns in which they are not r of predictions: "RSA".
    region : str, optional
        The one that figures 3 and 4 show first.
    versions : mapping of str to str
        Of layerwise, and of what else made the page.
    """

    study: str
    layers: pd.DataFrame
    networks: pd.DataFrame
    regions: Sequence[str]
    measures: Sequence[str]
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    origins: pd.DataFrame = field(default_factory=pd.DataFrame)
    config: str = ""
    simulated: str = ""
    kinds: Mapping[str, str] = field(default_factory=dict)
    region: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def alone(self) -> list[str]:
        """The regions or measures of a study that has one of the two alone: each is drawn over depth."""
        return [] if self.regions and self.measures else [*self.regions, *self.measures]

    def ceiling(self, name: str) -> float:
        """Return the ceiling of scores; NaN where there is none."""
        column = f"{name}_ceiling"
        return float(self.layers[column].median()) if column in self.layers else float("nan")

    @property
    def relations(self) -> pd.DataFrame:
        """What is drawn of networks: rows (figure, region); a figure without a region has an empty one.

        A figure of which no network has both values is left out.
        """
        found = self.tables.get("network_correlations", pd.DataFrame(columns=["figure", "region", "x", "y"]))
        pairs = zip(found["figure"], found["x"], found["y"], strict=True)
        kept = {figure for figure, x, y in pairs if self.networks[[x, y]].notna().all(axis=1).any()}
        return found[found["figure"].isin(kept)]
