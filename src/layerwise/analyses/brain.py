"""Brain similarity: how well the outputs of a layer predict the responses of a region's neuroids to held-out images."""

import logging
import warnings
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby

import numpy as np
import pandas as pd
import torch

from layerwise.activations.packing import unpack
from layerwise.activations.parts import kind_of
from layerwise.activations.store import ActivationStore, Stored
from layerwise.analyses.ahead import read_ahead
from layerwise.analyses.dividing import SHUFFLED, SplitPlan, keep_stimuli
from layerwise.analyses.measures import OtherMeasures, Scored, single_rows, warn_undefined
from layerwise.analyses.units import too_few_units
from layerwise.data.content import content_hash
from layerwise.data.recordings import average_repetitions
from layerwise.interfaces import (
    FITTED,
    PLS,
    RSA,
    DegenerateWarning,
    LayerSpec,
    Measure,
    MeasureSettings,
    Progress,
    Recordings,
    Split,
    agreeing,
    column_of,
    no_progress,
)
from layerwise.regression import (
    reduce_gram,
    reduce_units,
    score_gram,
    score_neuroids,
)

log = logging.getLogger(__name__)

MOST_AT_ONCE = 32  # layers together: with 320 fits, launches no longer count
COPIES = 6  # of a Gram matrix, that a fit of a layer takes
SQUARES = 5  # matrices [neuroid, neuroid], that a fit of a layer and split takes
BRAIN_SCORES = MeasureSettings()
Scores = dict[str, dict[Measure, Scored]]
READ = 15 * 10**8  # bytes of Gram matrices that are read at once; those in use and the next ones are there, too


def draw_splits(recordings: Recordings, plan: SplitPlan) -> list[Split]:
    """Draw the splits on which layers are scored against these neuroids: of the stimuli that have a response.

    Raises
    ------
    ValueError
        As of `SplitPlan.make`.
    """
    return plan.make(_shown(recordings)[1])


def require_distances(recordings: Recordings, splits: Sequence[Split], given: bool, settings: MeasureSettings) -> None:
    """See that RSA can compare these neuroids' stimuli, before layers are held against them.

    Parameters
    ----------
    recordings : Recordings
        The region.
    splits : sequence of Split
        As `draw_splits` gives them.
    given : bool
        Whether a property names the parts, so that the test stimuli are compared, and not all.
    settings : MeasureSettings
        How distances are computed.

    Raises
    ------
    ValueError
        Too few neuroids have a response to every stimulus that is compared.
    """
    rows, shown = _shown(recordings)
    compared = splits[0].test if given else None
    OtherMeasures([RSA], settings, rows, average_repetitions(shown.responses), compared=compared).require_neuroids()


@dataclass(frozen=True)
class BrainSimilarity:
    """Scores layers against one region.

    Parameters
    ----------
    recordings : Recordings
        Responses of the region's neuroids alone.
    region : str
        Name of the region in the study.
    splits : SplitPlan
        How stimuli are divided.
    n_components : int
        Number of latent variables.
    solver : {"exact", "scikit-learn"}
        How components are found.
    device : str
        "cpu" or "cuda".
    memory : int
        Bytes on a GPU for the layers that it takes together.
    pca : int, optional
        Number of principal components to which layers are reduced before the regression. They are fitted on the images
        whose activations stand in the store after those of the recordings' stimuli.
    measures : tuple of Measure
        What layers are held against the region by.
    settings : MeasureSettings
        Of measures beside PLS.
    """

    recordings: Recordings
    region: str
    splits: SplitPlan = SHUFFLED
    n_components: int = 25
    solver: str = "exact"
    device: str = "cpu"
    memory: int = 10**9
    pca: int | None = None
    measures: tuple[Measure, ...] = (PLS,)
    settings: MeasureSettings = BRAIN_SCORES

    def score(
        self, store: ActivationStore, layers: Sequence[LayerSpec], progress: Progress = no_progress
    ) -> pd.DataFrame:
        """Score the layers.

        Parameters
        ----------
        store : ActivationStore
            The network's activations to the recordings' stimuli, in the same order, and to the images for `pca`.
        layers : sequence of LayerSpec
            The layers to score.
        progress : Progress
            Shows how far the loop has come.

        Returns
        -------
        DataFrame
            Rows (layer, split): model, layer, region, split, r (median over neuroids), neuroids (how many have a
            defined r) and r_neuroids (list: r of each neuroid, in the order of the file). Of another measure than PLS
            `region` is the name of its column (IT_rsa); where it is one number a layer there is one row, of no split,
            with an empty list; and with ridge regression there is its alpha. Its `attrs["data"]` hold the hashes of the
            recordings and of all that the activations were computed from.

        Warns
        -----
        DegenerateWarning
            Layers have fewer units than components, or activations that are not finite: their r is NaN.
        """
        fitted = store.stimuli[len(self.recordings.stimuli) :] if self.pca else ()
        store.check_stimuli((*self.recordings.stimuli, *fitted))
        rows, recordings = _shown(self.recordings)
        fit = _Fit(self, store, rows, average_repetitions(recordings.responses), self.splits.make(recordings))
        few = too_few_units(layers, self.n_components) if PLS in self.measures else frozenset()
        wanted = layers if fit.others else [layer for layer in layers if layer.name not in few]
        scores = dict(progress(fit.score(wanted, few), f"{store.model} {self.region}", len(wanted)))
        found = {layer.name: scores.get(layer.name, fit.nothing) for layer in layers}
        table = pd.concat([fit.tabulate(found, measure) for measure in self.measures], ignore_index=True)
        pca = {"pca": f"{self.pca} components, fitted on {len(fitted)} images"} if self.pca else {}
        table.attrs["data"] = {self.region: {"recordings": content_hash(self.recordings), **store.attributes, **pca}}
        return table


@dataclass(frozen=True, eq=False)
class _Fit:
    """Scores layers: rows [stimulus] of the store belong to the responses [stimulus, neuroid]."""

    similarity: BrainSimilarity
    store: ActivationStore
    rows: np.ndarray
    responses: np.ndarray
    splits: list[Split]

    @cached_property
    def others(self) -> OtherMeasures | None:
        """Measures beside PLS."""
        measures, place = [one for one in self.similarity.measures if one != PLS], self.similarity.device
        settings = self.similarity.settings, self.rows, self.responses, self.splits, place
        compared = self.splits[0].test if self.similarity.splits.is_given else None
        return OtherMeasures(measures, *settings, compared) if measures else None

    @property
    def nothing(self) -> dict[Measure, Scored]:
        """What a layer without a score has: NaN [split, neuroid]."""
        r = np.full((len(self.splits), self.responses.shape[1]), np.nan)
        return {PLS: Scored(r), **(self.others.nothing if self.others else {})}

    def score(self, layers: Sequence[LayerSpec], few: Container[str]) -> Iterator[tuple[str, dict[Measure, Scored]]]:
        """Return the name and the scores of each layer, without PLS of those that have too few units for it."""
        specs = {layer.name: layer for layer in layers}
        for found in read_ahead(partial(self._read, group) for group in self._groups(layers)):
            finite = {name: stored for name, stored in found.items() if not stored.nonfinite}
            if len(finite) < len(found):
                warnings.warn("layers whose activations are not finite have no score", DegenerateWarning, stacklevel=2)
            scores = self._score_finite(finite, specs, few) if finite else {}
            for name in found:
                yield name, self.nothing | scores.get(name, {})

    def tabulate(self, scores: Mapping[str, Mapping[Measure, Scored]], measure: Measure) -> pd.DataFrame:
        """Put the scores of all layers into rows."""
        column = column_of(self.similarity.region, measure)
        if self.others and measure not in FITTED:
            warn_undefined(scores, measure)
            return single_rows(scores, self.store.model, column, measure, self.others.neuroids)
        tables = [_rows(one[measure].r, self.store.model, layer, column) for layer, one in scores.items()]
        if measure == "ridge":
            alphas = (one[measure].alphas for one in scores.values())
            tables = [rows.assign(alpha=chosen) for rows, chosen in zip(tables, alphas, strict=True)]
        return pd.concat(tables, ignore_index=True)

    def _groups(self, layers: Sequence[LayerSpec]) -> Iterator[list[LayerSpec]]:
        """Group neighbouring layers whose Gram matrices a GPU holds at once; all other layers are scored one by one."""
        for kind, run in groupby(layers, lambda layer: kind_of(layer, len(self.store.stimuli))):
            same, size = list(run), self._at_once() if kind == "gram" else 1
            yield from (same[start : start + size] for start in range(0, len(same), size))

    def _at_once(self) -> int:
        if self.similarity.device == "cpu" or self.similarity.pca:
            return 1
        n = len(self.store.stimuli)
        m = min(self.responses.shape[1], n)  # more neuroids than stimuli are turned to as many
        fit = 8 * (COPIES * n**2 + len(self.splits) * (n * m + SQUARES * m**2))
        return int(max(1, min(self.similarity.memory // fit, READ // (4 * n**2), MOST_AT_ONCE)))

    def _read(self, group: Sequence[LayerSpec]) -> dict[str, Stored]:
        return {layer.name: self.store.read(layer.name, packed=True) for layer in group}

    def _score_finite(self, found: Mapping[str, Stored], specs: Mapping[str, LayerSpec], few: Container[str]) -> Scores:
        """Score layers together, or in two halves if the device runs out of memory."""
        try:
            return self._score_together(found, specs, few)
        except torch.OutOfMemoryError:
            if len(found) == 1:
                raise
        # Outside the except clause: there the traceback still holds the tensors.
        torch.cuda.empty_cache()
        log.warning("the device is out of memory: continuing with %d layers at once", -(-len(found) // 2))
        names = list(found)
        halves = names[: len(names) // 2], names[len(names) // 2 :]
        parts = [self._score_finite({name: found[name] for name in half}, specs, few) for half in halves]
        return {name: scores for part in parts for name, scores in part.items()}

    def _score_together(
        self, found: Mapping[str, Stored], specs: Mapping[str, LayerSpec], few: Container[str]
    ) -> Scores:
        """Score by all measures layers whose Gram matrices are stored, or one whose activations are."""
        [*stored] = found.values()
        grams = None if stored[0].kind == "activations" or self.similarity.pca else self._grams(stored)
        scores: Scores = {name: {} for name in found}
        fitted = [place for place, name in enumerate(found) if name not in few]
        if fitted and PLS in self.similarity.measures:
            for place, r in zip(fitted, self._score_pls(stored, grams, fitted), strict=True):
                scores[list(found)[place]][PLS] = Scored(r)
        if self.others:
            others = self.others.score([specs[name] for name in found], stored, self.store.path, grams)
            scores = {name: scores[name] | other for name, other in zip(found, others, strict=True)}
        return scores

    def _score_pls(self, stored: Sequence[Stored], grams: torch.Tensor | None, fitted: Sequence[int]) -> np.ndarray:
        """Return r [layer, split, neuroid] of those layers that have units enough."""
        settings = (
            self.responses,
            self.splits,
            self.similarity.n_components,
            self.similarity.solver,
            self.similarity.device,
        )
        if grams is None or self.similarity.pca:
            return score_neuroids(self._features(stored[0])[self.rows], *settings)[None]
        return score_gram(grams if len(fitted) == len(grams) else grams[list(fitted)], *settings)

    def _features(self, stored: Stored) -> np.ndarray:
        """Return the activations of a layer, or their principal components: [stimulus, unit]."""
        if not self.similarity.pca:
            return stored.array
        n_fitted = len(self.store.stimuli) - len(self.similarity.recordings.stimuli)
        settings = n_fitted, self.similarity.pca, self.similarity.device
        if stored.kind == "activations":
            return reduce_units(stored.array, *settings)
        return reduce_gram(self._gram(stored.array), *settings)

    def _gram(self, packed: np.ndarray) -> torch.Tensor:
        return unpack(packed, len(self.store.stimuli), self.similarity.device)

    def _grams(self, stored: Sequence[Stored]) -> torch.Tensor:
        """Bring Gram matrices to the device, once for all measures: [layer, stimulus, stimulus]."""
        grams = (self._gram(one.array) for one in stored)
        shown = [gram if len(self.rows) == len(gram) else gram[self.rows][:, self.rows] for gram in grams]
        return torch.stack(shown) if len(shown) > 1 else shown[0][None]


def _shown(recordings: Recordings) -> tuple[np.ndarray, Recordings]:
    """Leave out stimuli to which no neuroid of the region has a response; also give the rows of those that stay."""
    rows = np.flatnonzero(~np.isnan(recordings.responses).all(axis=(0, 2)))
    left_out = len(recordings.stimuli) - len(rows)
    if not left_out:
        return rows, recordings
    warnings.warn(
        f"{left_out} of {len(recordings.stimuli)} stimuli {agreeing(left_out, 'has', 'have')} no response of any "
        "neuroid: left out",
        DegenerateWarning,
        stacklevel=3,
    )
    return rows, keep_stimuli(recordings, rows)


def _rows(r: np.ndarray, model: str, layer: str, region: str) -> pd.DataFrame:
    defined = np.isfinite(r)
    medians = [float(np.median(row[keep])) if keep.any() else np.nan for row, keep in zip(r, defined, strict=True)]
    return pd.DataFrame(
        {
            "model": model,
            "layer": layer,
            "region": region,
            "split": np.arange(len(r)),
            "r": medians,
            "neuroids": defined.sum(axis=1),
            "r_neuroids": list(r),
        }
    )
