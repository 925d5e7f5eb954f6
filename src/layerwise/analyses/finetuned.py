"""Gathers what became of fine-tuned networks into one row for each split, once it holds what it must."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from layerwise.analyses.gather import VERSIONS, check_data, gather_origins, summarise_layers, tell_versions
from layerwise.files import hash_object
from layerwise.interfaces import DegenerateWarning, Ratings, counted
from layerwise.interfaces.finetuning import DIVERGED, STARTED_FROM, TRAINING

PARTS = ("val", "test")
UNDEFINED = "test images are too few, or their scores or predictions do not vary"
SAME = ("recordings", "stimuli", "preprocessing", "network", "pca")  # of a region, before and after


@dataclass(frozen=True, eq=False)
class FoldTables:
    """What training on one split left, and the scores of what it gave.

    Parameters
    ----------
    split : str
        Its number, from 1.
    history : DataFrame
        Rows (epoch) with rho and best.
    predictions : DataFrame
        Rows (stimulus, split, part) with score and predicted; part is val or test.
    scores : DataFrame
        Rows (region, split of the recordings) with r, of the penultimate layer after training.
    """

    split: str
    history: pd.DataFrame
    predictions: pd.DataFrame
    scores: pd.DataFrame

    @property
    def origins(self) -> Mapping[str, str]:
        """Hashes of all that the training depended on, and of what it predicts."""
        return dict(self.history.attrs.get("origins", {}))

    @property
    def diverged(self) -> str:
        """What was no longer finite, if training diverged: nothing is known of the split then."""
        return str(self.origins.get(DIVERGED, ""))

    @property
    def all_origins(self) -> list[Mapping[str, str]]:
        """What each table of the training says of that."""
        return [dict(table.attrs.get("origins", {})) for table in (self.history, self.predictions)]


def gather_finetuned(
    model: str,
    folds: Sequence[FoldTables],
    before: pd.DataFrame,
    ratings: Ratings,
    measure: str,
    regions: Sequence[str],
) -> pd.DataFrame:
    """Gather one network's splits, once it is sure that no test image was trained on or watched.

    Parameters
    ----------
    model : str
        Name of the network.
    folds : sequence of FoldTables
        A split each.
    before : DataFrame
        Like the scores of a fold, of the pretrained network.
    ratings : Ratings
        What was predicted.
    measure : str
        What they measure.
    regions : sequence of str
        Those that both were held against.

    Returns
    -------
    DataFrame
        A row a split: model, split, rho (Spearman's, of the test images at the best epoch), rho_validation, best_epoch
        (0 where training diverged), epochs, n_train, n_val, n_test, reason (why rho is NaN), and REGION_before and
        REGION_after for each region: brain similarity of the penultimate layer (mean over splits of the median r over
        neuroids, as in layers.parquet).

    Warns
    -----
    DegenerateWarning
        Training on some splits diverged: they have a row, and no values.

    Raises
    ------
    ValueError
        Predictions are not of the split's own images and scores, or not of the network that its history is of; or
        parts were made from other data, or with another network, than the rest.
    """
    for fold in folds:
        _check_training(model, fold, folds[0])
        _check_scores(model, fold, before)
    columns = ["rho", "rho_validation", "best_epoch", "epochs", "n_train", "n_val", "n_test", "reason"]
    rows = [(model, fold.split, *_learned(model, fold, ratings)) for fold in folds]
    table = pd.DataFrame(rows, columns=["model", "split", *columns])
    pretrained = _similarities(model, before, regions, "before fine-tuning")
    trained = [_similarities(model, fold.scores, regions, f"after split {fold.split}") for fold in folds]
    for region in regions:
        table[f"{region}_before"] = pretrained[region]
        table[f"{region}_after"] = [similarity[region] for similarity in trained]
    table.attrs = {"data": _all_origins(folds, before, measure)}
    tell_versions({model: table})
    _warn_diverged(model, folds)
    return table


def _warn_diverged(model: str, folds: Sequence[FoldTables]) -> None:
    diverged = [fold for fold in folds if fold.diverged]
    if diverged:
        named = ", ".join(f"{fold.split}: {fold.diverged}" for fold in diverged)
        message = (
            f"training of {model} diverged on {len(diverged)} of {len(folds)} splits, which have no values ({named})"
        )
        warnings.warn(message, DegenerateWarning, stacklevel=3)


# --- what was learned -----------------------------------------------------------------------------------------------


def _learned(model: str, fold: FoldTables, ratings: Ratings) -> tuple[float, float, int, int, int, int, int, str]:
    name = f"split {fold.split} of {model}"
    shown = {part: fold.predictions[fold.predictions["part"] == part] for part in PARTS}
    n_train = _check_images(name, fold, shown, ratings)
    best = fold.history[fold.history["best"]]
    if len(best) != (0 if fold.diverged else 1):
        raise ValueError(f"{name}: {len(best)} epochs of its history are marked as the best: {_again(fold, model)}")
    counts = n_train, len(shown["val"]), len(shown["test"])
    if fold.diverged:
        return float("nan"), float("nan"), 0, len(fold.history), *counts, f"training diverged: {fold.diverged}"
    rho = _spearman(shown["test"])
    reason = UNDEFINED if np.isnan(rho) else ""
    return rho, float(best["rho"].iloc[0]), int(best["epoch"].iloc[0]), len(fold.history), *counts, reason


def _check_images(name: str, fold: FoldTables, shown: Mapping[str, pd.DataFrame], ratings: Ratings) -> int:
    """Hold the predicted images and scores against those of the split; return how many images are left to train on."""
    index = int(fold.split) - 1
    if not 0 <= index < len(ratings.splits):
        raise ValueError(f"{name}: the ratings have {len(ratings.splits)} splits, and no such one")
    if set(fold.predictions["split"].astype(str)) != {fold.split} or set(fold.predictions["part"]) != set(PARTS):
        raise ValueError(f"{name}: its predictions are of other splits or parts: train it again")
    split, scores = ratings.splits[index], dict(zip(ratings.stimuli, ratings.scores[index], strict=True))
    of_part = {part: rows["stimulus"] for part, rows in shown.items()}
    _require(name, "test", of_part["test"], _names(ratings, split.test))
    watchable = split.validation if len(split.validation) else split.train  # held out of these where there are none
    _require(name, "validation", of_part["val"], _names(ratings, watchable), part_of=not len(split.validation))
    _require_scores(name, fold.predictions, scores)
    return len(split.train) + len(split.validation) - len(of_part["val"])


def _require_scores(name: str, predictions: pd.DataFrame, scores: Mapping[str, float]) -> None:
    given = predictions["stimulus"].map(scores).to_numpy(float)
    differing = ~np.isclose(given, predictions["score"].to_numpy(float), rtol=0, atol=1e-6)
    if differing.any():
        image = predictions["stimulus"].iloc[int(np.argmax(differing))]
        raise ValueError(
            f"{name}: {counted(differing.sum(), 'image was', 'images were')} predicted with scores that are not those "
            f"of this split (first: {image!r}): the ratings were changed meanwhile, so train it again"
        )


def _names(ratings: Ratings, images: NDArray[np.int64]) -> set[str]:
    return {ratings.stimuli[index] for index in images}


def _require(name: str, part: str, found: pd.Series, wanted: set[str], part_of: bool = False) -> None:
    strange = sorted(set(found) - wanted) + ([] if part_of else sorted(wanted - set(found)))
    twice = sorted(found[found.duplicated()])
    if strange or twice:
        what = "are predicted twice" if twice else f"are predicted but not in its {part} part, or the other way round"
        named = twice or strange
        raise ValueError(
            f"{name}: {len(named)} {part} images {what} (first: {named[0]!r}): the ratings were changed meanwhile, or "
            "images have leaked from one part into another; train it again"
        )


def _spearman(rows: pd.DataFrame) -> float:
    score, predicted = rows["score"].to_numpy(float), rows["predicted"].to_numpy(float)
    if len(rows) < 3 or np.ptp(score) == 0 or np.ptp(predicted) == 0:
        return float("nan")
    return float(spearmanr(score, predicted).statistic)


# --- brain similarity ---------------------------------------------------------------------------------------------


def _similarities(model: str, scores: pd.DataFrame, regions: Sequence[str], when: str) -> dict[str, float]:
    missing = [region for region in regions if region not in set(scores["region"])]
    if missing:
        raise ValueError(
            f"{model} {when}: no scores of the penultimate layer against {', '.join(missing)}: run score-penultimate "
            "again"
        )
    return {
        region: float(summarise_layers(scores[scores["region"] == region], region, "r")[region].iloc[0])
        for region in regions
    }


def _check_training(model: str, fold: FoldTables, first: FoldTables) -> None:
    """See that the tables of a split are of one training, with the settings of the first."""
    if len({hash_object(dict(one)) for one in fold.all_origins}) > 1:
        raise ValueError(
            f"split {fold.split} of {model}: its history and its predictions are of different trainings: "
            f"{_again(fold, model)}"
        )
    if fold.origins.get("settings") != first.origins.get("settings"):
        raise ValueError(
            f"{model}: splits {first.split} and {fold.split} were trained with different settings: delete the "
            f"folder finetuned of {model}, and train it again"
        )


def _check_scores(model: str, fold: FoldTables, before: pd.DataFrame) -> None:
    """See that a split was held against the same as the pretrained network, from which it started."""
    for region, after in _origins(fold.scores).items():
        first = _origins(before).get(region, {})
        differing = [key for key in SAME if after.get(key, "") != first.get(key, "")]
        started = {first.get("weights"), after.get(STARTED_FROM), fold.origins.get("weights")}
        differing += ["pretrained weights"] if len(started) > 1 else []
        if differing:
            raise ValueError(
                f"{model}: {region} before fine-tuning and after split {fold.split} were scored with other "
                f"{differing[0]} (their hashes differ): delete the folders finetuned and penultimate of {model}, "
                "and run again"
            )
        if after.get(TRAINING) != hash_object(dict(fold.origins)):
            raise ValueError(
                f"split {fold.split} of {model}: {region} was scored with the weights of another training than its "
                f"history is of: delete the folder penultimate/{fold.split} of {model}, and run again"
            )


def _origins(table: pd.DataFrame) -> dict[str, dict[str, str]]:
    return dict(table.attrs.get("data", {}))


def _all_origins(folds: Sequence[FoldTables], before: pd.DataFrame, measure: str) -> dict[str, dict[str, str]]:
    """Say of each region, and of the measure, what all networks must share, and which versions were used."""
    of_regions = [_part(_origins(table)) for table in (before, *(fold.scores for fold in folds))]
    of_measure = [_part({measure: dict(fold.origins)}) for fold in folds]
    joined = gather_origins([*of_regions, *of_measure])
    joined[measure]["ratings"] = hash_object([fold.origins.get("scores") for fold in folds])
    return joined


def _part(origins: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Return a table of these origins, less what differs between splits."""
    table = pd.DataFrame()
    shared = ("recordings", "network", "preprocessing", "settings", VERSIONS)
    table.attrs["data"] = {
        name: {key: hashes[key] for key in shared if key in hashes} for name, hashes in origins.items()
    }
    return table


def _again(fold: FoldTables, model: str) -> str:
    return f"delete the folder finetuned/{fold.split} of {model}, and train it again"


# --- networks -------------------------------------------------------------------------------------------------------


def join_networks(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Join the tables of networks into one, if all were trained alike and held against the same data.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        The table of each network, as `gather_finetuned` gives.

    Raises
    ------
    ValueError
        Networks were trained on other scores or with other settings than the rest, or held against other recordings.
    """
    check_data(tables)
    origins = {model: _origins(table) for model, table in tables.items()}
    trained = {
        one["settings"]: model for model, all_of in origins.items() for one in all_of.values() if "settings" in one
    }
    if len(trained) > 1:
        one, other = list(trained.values())[:2]
        raise ValueError(
            f"{one} and {other} were trained with different settings (their hashes differ): delete the folders "
            "finetuned of both, and train them again"
        )
    tell_versions(tables)
    joined = pd.concat(tables.values(), ignore_index=True)
    joined.attrs = {"data": origins}
    return joined
