"""Steps that gather and draw what became of fine-tuned networks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from layerwise.analyses.finetuned import FoldTables, join_networks
from layerwise.analyses.finetuned import gather_finetuned as gather
from layerwise.config import Study
from layerwise.figures.change import plot_change as plot_slopes
from layerwise.figures.figure3 import plot_figure3 as plot_scatter
from layerwise.figures.history import plot_history as plot_epochs
from layerwise.figures.style import save_figure
from layerwise.files.tables import marked, read_table, write_both, write_table
from layerwise.statistics.correlation import correlate_points
from layerwise.statistics.finetuning import compare_finetuned
from layerwise.statistics.folds import average_folds
from layerwise.steps.inputs import rated_images
from layerwise.study import (
    Layout,
    families_of,
    finetuned_models,
    finetuned_ratings,
    finetuned_splits,
    finetuning_of,
    regions,
)
from layerwise.study.layout import HISTORY, PREDICTIONS, PRETRAINED

_HISTORY = ["split", "epoch", "learning_rate", "training_loss", "validation_loss", "rho", "best"]  # columns of tables
_PREDICTIONS = ["stimulus", "split", "part", "score", "predicted"]
_SCORES = ["layer", "region", "split", "r"]


def gather_finetuned(study: Study, model: str, folder: Path, output: Path) -> None:
    """Gather the splits that a network was trained on, which lie in a folder of results: a row a split."""
    layout, ratings, names = Layout(str(folder)), finetuned_ratings(study), [region.name for region in regions(study)]
    files = {split: _files(layout, model, split, bool(names)) for split in finetuned_splits(study)}
    _require_all(model, files)
    table = gather(
        model,
        [_read_fold(split, paths) for split, paths in files.items()],
        _read_scores([layout.penultimate_scores(model, PRETRAINED)] if names else []),
        rated_images(study, ratings)[0],
        study.rating(ratings).measure,
        names,
    )
    write_table(table, output)


def gather_finetuned_study(study: Study, folder: Path, output: Path, csv: Path | None = None) -> None:
    """Gather the networks that were trained on, whose tables lie in a folder of results: a row a network and split."""
    finetuning_of(study)  # refuses a study without any
    layout = Layout(str(folder))
    tables = {model: read_table(layout.model_finetuned(model), ["model", "split"]) for model in finetuned_models(study)}
    table = join_networks(tables)
    write_both(table, output, csv)


def plot_figure3(
    finetuned: Path,
    region: str,
    output: Sequence[Path],
    measure: str = "memorability",
    study: Study | None = None,
) -> None:
    """Draw the accuracy of predicting a measure against brain similarity, both after fine-tuning, a point a network."""
    after = f"{region}_after"
    table = _read_regions(finetuned, [region])
    networks = _with_families(study, marked(average_folds(table, ["rho", after]), table))
    rho, interval = correlate_points(networks, after, "rho")
    correlation = {"rho": rho, "low": interval.low, "high": interval.high}
    save_figure(plot_scatter(networks, region, correlation, measure), output)


def plot_change(finetuned: Path, region: Sequence[str], output: Sequence[Path], study: Study | None = None) -> None:
    """Draw brain similarity before and after fine-tuning, a panel a region."""
    columns = [f"{name}_{when}" for name in region for when in ("before", "after")]
    table = _read_regions(finetuned, region)
    networks = _with_families(study, marked(average_folds(table, columns), table))
    save_figure(plot_slopes(networks, compare_finetuned(networks, region)[0]), output)


def plot_history(history: Sequence[Path], output: Sequence[Path]) -> None:
    """Draw the epochs of a network's training, a line a split."""
    tables = [read_table(path, ["model", *_HISTORY]) for path in history]
    joined = pd.concat(tables, ignore_index=True)
    models = list(joined["model"].unique())
    if len(models) > 1:
        raise ValueError(f"the histories are of several networks ({', '.join(models)}): give those of one")
    save_figure(plot_epochs(joined, ", ".join(models)), output)


def _with_families(study: Study | None, networks: pd.DataFrame) -> pd.DataFrame:
    """Add the family of each network, as the study says."""
    if study is None:
        return networks
    families = families_of(study)
    return networks.assign(family=[families.get(model, model) for model in networks["model"]])


def _files(layout: Layout, model: str, split: str, scored: bool) -> list[str]:
    """List what a split left: its history, its predictions and, where there are regions, scores against them."""
    trained = [layout.finetuned(model, split, file) for file in (HISTORY, PREDICTIONS)]
    return [*trained, *([layout.penultimate_scores(model, split)] if scored else [])]


def _require_all(model: str, files: Mapping[str, Sequence[str]]) -> None:
    """Name the splits of which something is missing, before any is read."""
    lacking = {split: [path for path in paths if not Path(path).is_file()] for split, paths in files.items()}
    named = [split for split, paths in lacking.items() if paths]
    if named:
        raise ValueError(
            f"{model} lacks results of {len(named)} of its {len(files)} splits ({', '.join(named)}; the first that is "
            f"not there: {lacking[named[0]][0]}): run finetune-network and score-penultimate for these splits first, "
            "or leave them out of finetuning.splits"
        )


def _read_fold(split: str, paths: Sequence[str]) -> FoldTables:
    history, predictions, *scores = paths
    return FoldTables(split, read_table(history, _HISTORY), read_table(predictions, _PREDICTIONS), _read_scores(scores))


def _read_scores(paths: Sequence[str]) -> pd.DataFrame:
    return read_table(paths[0], _SCORES) if paths else pd.DataFrame()


def _read_regions(finetuned: Path, wanted: Sequence[str]) -> pd.DataFrame:
    """Read the table of fine-tuned networks, which must have these regions."""
    table = read_table(finetuned, ["model", "split", "rho"])
    known = [name.removesuffix("_after") for name in map(str, table) if name.endswith("_after")]
    unknown = [region for region in wanted if region not in known]
    if unknown:
        raise ValueError(
            f"{finetuned} has no region {unknown[0]!r}: name one that networks were held against after fine-tuning, "
            f"with --region; there are: {', '.join(known) or 'none'}"
        )
    return table
