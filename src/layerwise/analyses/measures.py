"""What a layer is held against a region by beside PLS, from the same stored layer: ridge regression, RSA and CKA."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerwise.activations.packing import unpack
from layerwise.activations.store import Stored
from layerwise.interfaces import (
    FITTED,
    DegenerateWarning,
    LayerSpec,
    Measure,
    MeasureSettings,
    Split,
    agreeing,
    counted,
)
from layerwise.regression import ALPHAS, Kernel, PatternProducts, Reference, align, distances, score_ridge
from layerwise.regression.rsa import varies

LEAST_STIMULI, LEAST_NEUROIDS = 4, 3
_OLD = (
    "was written by a version of layerwise that kept too little of large layers for RSA: delete it, and run the step "
    "that extracts activations again"
)


@dataclass(frozen=True)
class Scored:
    """What a layer got.

    Parameters
    ----------
    r : float64 array [split, neuroid]
        [1, 1] of a measure that is one number a layer.
    alphas : float64 array [split], optional
        Penalties of ridge regression.
    """

    r: NDArray[np.float64]
    alphas: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class OtherMeasures:
    """Holds layers against a region's mean responses, or, for RSA alone, against distances.

    Parameters
    ----------
    measures : sequence of Measure
        Those beside PLS.
    settings : MeasureSettings
        How they are computed.
    rows : int array [stimulus]
        Of what is stored of a layer, those of the stimuli.
    responses : float64 array [stimulus, neuroid]
        Averaged over repetitions; none where distances are given.
    splits : sequence of Split
        For ridge regression.
    device : str
        "cpu" or "cuda".
    compared : int array [stimulus], optional
        Of the stimuli, those that RSA and CKA are of; default: all.
    pairs : float64 array [pair], optional
        Distances between the stimuli, row by row of the upper triangle, instead of those of responses.
    """

    measures: Sequence[Measure]
    settings: MeasureSettings
    rows: NDArray[np.intp]
    responses: NDArray[np.float64]
    splits: Sequence[Split] = ()
    device: str = "cpu"
    compared: NDArray[np.intp] | None = None
    pairs: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        n = len(self.rows if self.compared is None else self.compared)
        if self._single and n < LEAST_STIMULI:
            raise ValueError(
                f"{counted(n, 'stimulus is', 'stimuli are')} given, and {self._single[0]} needs {LEAST_STIMULI} or "
                "more: use more"
            )

    @property
    def nothing(self) -> dict[Measure, Scored]:
        """What a layer without values gets."""
        return {one: self._nothing(one) for one in self.measures}

    def _nothing(self, measure: Measure) -> Scored:
        if measure != "ridge":
            return Scored(np.full((1, 1), np.nan))
        shape = len(self.splits), self.responses.shape[1]
        return Scored(np.full(shape, np.nan), np.full(shape[0], np.nan))

    @property
    def neuroids(self) -> int:
        """How many neuroids have a response to every stimulus: the others are left out."""
        return int(self._complete.shape[1])

    def require_neuroids(self) -> None:
        """See that RSA can tell stimuli apart by what is known of all of them.

        Raises
        ------
        ValueError
            Too few neuroids have a response to every stimulus.
        """
        if self.settings.distance == "correlation" and self.neuroids < LEAST_NEUROIDS:
            raise ValueError(
                f"{counted(self.neuroids, 'neuroid has', 'neuroids have')} a response to every stimulus, and RSA by "
                f"correlation over neuroids needs {LEAST_NEUROIDS} or more: set brain.rsa.distance to euclidean, or "
                "leave out rsa"
            )

    def score(
        self, layers: Sequence[LayerSpec], stored: Sequence[Stored], file: object, grams: Tensor | None = None
    ) -> list[dict[Measure, Scored]]:
        """Score what is stored of layers, all of which must be finite: of several Gram matrices, or of one layer.

        Parameters
        ----------
        layers : sequence of LayerSpec
            The layers.
        stored : sequence of Stored
            What was read of each.
        file : object
            Name of the file that it was read from.
        grams : Tensor [layer, stimulus, stimulus], optional
            Gram matrices of these stimuli, if they were brought to the device already.

        Raises
        ------
        ValueError
            The file of activations is of a version that kept too little for RSA.
        """
        is_gram = stored[0].kind == "gram"
        if is_gram:
            features = torch.stack([self._gram(one) for one in stored]) if grams is None else grams
        else:
            features = torch.as_tensor(stored[0].array[self.rows]).to(self.device, torch.float64)
        found: list[dict[Measure, Scored]] = [{} for _ in layers]
        for place, (layer, one) in enumerate(zip(layers, stored, strict=True) if self._single else ()):
            found[place] = self._score_single(
                self._products(layer, one, features[place], file) if is_gram else PatternProducts.of(features)
            )
        if "ridge" in self.measures:
            r, alphas = self._score_ridge(features, is_gram)
            for scores, one, chosen in zip(found, r, alphas, strict=True):
                scores["ridge"] = Scored(one, chosen)
        return [{one: scores[one] for one in self.measures} for scores in found]

    def _score_ridge(self, features: Tensor, is_gram: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return r [layer, split, neuroid] and penalties [layer, split]."""
        alphas = ALPHAS if self.settings.alpha is None else [self.settings.alpha]
        found = score_ridge(features, self.responses, self.splits, alphas, is_gram, self.device)
        return found if is_gram else (found[0][None], found[1][None])

    @property
    def _single(self) -> list[Measure]:
        return [one for one in self.measures if one not in FITTED]

    def _gram(self, stored: Stored) -> Tensor:
        n = math.isqrt(2 * stored.array.size)
        gram = unpack(np.asarray(stored.array, np.float64), n, self.device)
        return gram if len(self.rows) == n else gram[self.rows][:, self.rows]

    def _products(self, layer: LayerSpec, stored: Stored, gram: Tensor, file: object) -> PatternProducts:
        if stored.patterns is None and "rsa" in self.measures and self.settings.distance != "euclidean":
            raise ValueError(f"{file} {_OLD}")
        patterns = np.zeros((2, len(self.rows))) if stored.patterns is None else stored.patterns[:, self.rows]
        mean_sum, mean_square = (0.0, 0.0) if stored.patterns is None else stored.patterns.mean(1).tolist()
        sums, products = torch.as_tensor(patterns).to(self.device)
        return PatternProducts(gram, sums, products, mean_sum, mean_square, layer.units)

    def _score_single(self, products: PatternProducts) -> dict[Measure, Scored]:
        """Score by those measures that are one number a layer."""
        if self.compared is not None:
            products = products.keep(torch.as_tensor(self.compared, device=self.device))
        values: dict[Measure, float] = {}
        if "rsa" in self.measures:
            values["rsa"] = self._reference.similarity(distances(products, self.settings.distance))
        if "cka" in self.measures or "debiased_cka" in self.measures:
            values["cka"], values["debiased_cka"] = align(Kernel.of(products.gram), self._kernel).tolist()
        return {measure: Scored(np.full((1, 1), value)) for measure, value in values.items()}

    @cached_property
    def _complete(self) -> NDArray[np.float64]:
        responses = self.responses if self.compared is None else self.responses[self.compared]
        kept: NDArray[np.bool_] = np.all(np.isfinite(responses), axis=0)
        if not kept.all():
            lost = int((~kept).sum())
            word = agreeing(lost, "lacks", "lack")
            _warn(f"{lost} of {len(kept)} neuroids {word} responses to some stimuli: left out of RSA and CKA")
        return responses[:, kept]

    @cached_property
    def _region(self) -> PatternProducts:
        return PatternProducts.of(torch.as_tensor(self._complete).to(self.device, torch.float64))

    @cached_property
    def _kernel(self) -> Kernel:
        return Kernel.of(self._region.gram)

    @cached_property
    def _reference(self) -> Reference:
        return Reference.of(self._pairs().to(self.device), self.settings.comparison)

    def _pairs(self) -> Tensor:
        if self.pairs is not None:
            return torch.as_tensor(self.pairs)
        self.require_neuroids()
        found = distances(self._region, self.settings.distance)
        if bool(found.isnan().any()):
            _warn("to some stimuli all neuroids respond alike, so that RSA has no distance from them: it is undefined")
        elif not varies(found):
            _warn(
                "responses to all pairs of stimuli are equally distant, so that nothing can correlate: RSA is undefined"
            )
        return found


def single_rows(
    scores: Mapping[str, Mapping[Measure, Scored]], model: str, column: str, measure: Measure, neuroids: int
) -> pd.DataFrame:
    """Put a measure that is one number a layer into a row each."""
    values = [float(one[measure].r[0, 0]) for one in scores.values()]
    rows = {"model": model, "layer": list(scores), "region": column, "split": 0, "r": values, "neuroids": neuroids}
    return pd.DataFrame({**rows, "r_neuroids": [np.zeros(0) for _ in values]})


def warn_undefined(scores: Mapping[str, Mapping[Measure, Scored]], measure: Measure) -> None:
    """Warn of how many layers have no value of a measure that is one number a layer.

    Warns
    -----
    DegenerateWarning
        There are such.
    """
    undefined = sum(bool(np.isnan(one[measure].r).all()) for one in scores.values())
    if undefined:
        _warn(
            f"{undefined} of {len(scores)} layers {agreeing(undefined, 'has', 'have')} no {measure}: activations are "
            "not finite, or do not vary over stimuli or, for a correlation, over units"
        )


def _warn(message: str) -> None:
    warnings.warn(message, DegenerateWarning, stacklevel=3)
