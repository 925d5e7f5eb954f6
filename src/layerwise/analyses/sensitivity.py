"""What becomes of the correlation over layers with other settings, from activations that are kept."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from layerwise.activations.gram import add_gram
from layerwise.activations.packing import unpack
from layerwise.activations.parts import kind_of
from layerwise.activations.store import ActivationStore, Stored
from layerwise.analyses.brain import BrainSimilarity
from layerwise.analyses.gather import summarise_layers
from layerwise.analyses.memorability import BehaviouralAccuracy
from layerwise.interfaces import LayerSpec, Progress, no_progress

COMPONENTS = (5, 10, 25, 50)
SOLVERS = ("exact", "scikit-learn")
NONE = "none"  # in place of a number of principal components


@dataclass(frozen=True)
class Method:
    """How layers are scored.

    Parameters
    ----------
    n_components : int
        Latent variables.
    solver : str
        "exact" or "scikit-learn".
    pca : int, optional
        Principal components to which layers are reduced before they are held against the brain.
    n_layers : int, optional
        Layers of each network that are scored, evenly over its depth; None: all.
    """

    n_components: int
    solver: str
    pca: int | None
    n_layers: int | None = None


@dataclass(frozen=True)
class Sensitivity:
    """The correlation over layers with one setting changed, all others being the study's.

    Parameters
    ----------
    setting : str
        What is changed: "components", "solver", "pca", or "geometry".
    value : str
        To what.
    studys : bool
        Whether that is what the study has.
    region, measure : str
        What is correlated.
    accuracy : str
        "with this setting", or "as in the study" where no activations to the rated images are kept.
    rho, low, high : float
        Spearman's rho over layers and its interval, as in the study's table of correlations.
    n_layers, n_networks, n_undefined : int
        Layers that have both values, of how many networks, and those left out: with more components, those of fewer
        units have no score.
    layers : str
        Which layers of each network: "all", or how many, evenly over depth.
    reason : str
        Why something is NaN.
    """

    setting: str
    value: str
    studys: bool
    region: str
    measure: str
    accuracy: str
    rho: float
    low: float
    high: float
    n_layers: int
    n_networks: int
    n_undefined: int
    layers: str
    reason: str


def list_methods(study: Method, reduced: int | None, n_layers: int) -> Iterator[tuple[str, str, bool, Method]]:
    """List what is tried: setting, value, whether it is the study's, and the method.

    Parameters
    ----------
    study : Method
        The study's.
    reduced : int, optional
        Principal components, where images to fit them on are kept among the activations.
    n_layers : int
        Layers of each network with which solvers are compared: scikit-learn's is slow.
    """
    for number in sorted({*COMPONENTS, study.n_components}):
        yield "components", str(number), number == study.n_components, replace(study, n_components=number)
    for solver in SOLVERS:
        yield "solver", solver, solver == study.solver, replace(study, solver=solver, n_layers=n_layers)
    if reduced is not None:
        for pca in (None, reduced):
            yield "pca", NONE if pca is None else str(pca), pca == study.pca, replace(study, pca=pca)


def spread_layers(layers: Sequence[LayerSpec], number: int | None) -> list[LayerSpec]:
    """Choose some layers of a network, evenly over its depth, the first and the last among them; None: all."""
    if number is None or number >= len(layers):
        return list(layers)
    return [layers[place] for place in np.linspace(0, len(layers) - 1, number).round().astype(int)]


def score_layers(
    method: Method,
    layers: Sequence[LayerSpec],
    brain: Sequence[tuple[BrainSimilarity, ActivationStore]],
    rated: Sequence[tuple[BehaviouralAccuracy, ActivationStore]],
    progress: Progress = no_progress,
) -> pd.DataFrame:
    """Score layers of a network with another method: a row a layer, a column a region and measure.

    Parameters
    ----------
    method : Method
        The method; ratings are never reduced to principal components.
    layers : sequence of LayerSpec
        All its layers.
    brain, rated : sequence of pairs
        What it is held against, and its activations to these images.
    progress : Progress
        Shows how far the loop has come.

    Warns
    -----
    DegenerateWarning
        As of both kinds of scores.
    """
    chosen = spread_layers(layers, method.n_layers)
    giving = [layer.same_as or layer.name for layer in chosen]
    own = [layer for layer in layers if layer.name in giving]  # whose values are not those of a layer before them
    table = pd.DataFrame({"layer": [layer.name for layer in own]})
    for similarity, store in brain:
        changed = replace(similarity, n_components=method.n_components, solver=method.solver, pca=method.pca)
        rows = changed.score(_shown(store, changed), own, progress)
        table = _beside(table, rows, similarity.region, "r")
    for accuracy, store in rated:
        rows = replace(accuracy, n_components=method.n_components, solver=method.solver).score(store, own, progress)
        table = _beside(table, rows, accuracy.measure, "rho")
    shown = table.set_index("layer").loc[giving].reset_index(drop=True)
    shown.insert(0, "layer", [layer.name for layer in chosen])
    return shown


def _beside(table: pd.DataFrame, rows: pd.DataFrame, name: str, value: str) -> pd.DataFrame:
    return table.merge(summarise_layers(rows, name, value)[["layer", name]], on="layer", validate="one_to_one")


def _shown(store: ActivationStore, similarity: BrainSimilarity) -> ActivationStore:
    """Leave out the images on which principal components are fitted, where none are."""
    n = len(similarity.recordings.stimuli)
    return store if similarity.pca or len(store.stimuli) == n else LeadingStore(store.path, store.model, n)


class LeadingStore(ActivationStore):
    """A file of activations, of which the first stimuli alone are shown.

    Parameters
    ----------
    path, model
        As of `ActivationStore`.
    n_stimuli : int
        How many are shown.
    """

    def __init__(self, path: str | Path, model: str | None, n_stimuli: int) -> None:
        super().__init__(path, model)
        self.stimuli = self.stimuli[:n_stimuli]
        self._layers = {layer.name: layer for layer in self.layers}

    def read(self, layer: str, packed: bool = False) -> Stored:
        """Read one layer, kept as it would be if these were all stimuli."""
        stored, n = super().read(layer, packed=True), len(self.stimuli)
        if kind_of(self._layers[layer], n) == "activations":
            return replace(stored, array=stored.array[:n])
        gram = self._gram(stored)[:n, :n]
        return Stored("gram", gram[np.triu_indices(n)] if packed else gram, stored.nonfinite)

    def _gram(self, stored: Stored) -> np.ndarray:
        """Return the Gram matrix [stimulus, stimulus], which a fit centres on its own stimuli."""
        if stored.kind == "gram":
            return unpack(stored.array.astype(np.float64, copy=False), self._n_kept).numpy()
        total = torch.zeros(self._n_kept, self._n_kept, dtype=torch.float64)
        add_gram(total, torch.as_tensor(stored.array))
        return (total.triu() + total.triu(1).T).numpy()


def tabulate(
    tried: tuple[str, str, bool, Method], correlations: pd.DataFrame, varied: Mapping[str, bool]
) -> list[Sensitivity]:
    """Take what is said of a method from the correlations over the layers that it scored."""
    setting, value, studys, method = tried
    return [
        Sensitivity(
            setting=setting,
            value=value,
            studys=studys,
            region=row["region"],
            measure=row["measure"],
            accuracy="with this setting" if varied[row["measure"]] else "as in the study",
            layers="all" if method.n_layers is None else f"{method.n_layers} of each network",
            **{name: row[name] for name in ("rho", "low", "high", "n_layers", "n_networks", "n_undefined", "reason")},
        )
        for _, row in correlations.iterrows()
    ]


def not_tried(setting: str, value: str, reason: str, pairs: Sequence[tuple[str, str]]) -> list[Sensitivity]:
    """Say of a setting that it needs more than what is kept."""
    nan = float("nan")
    return [
        Sensitivity(setting, value, False, region, measure, "", nan, nan, nan, 0, 0, 0, "none", reason)
        for region, measure in pairs
    ]
