"""Steps that gather scores into tables, and what is said of all layers."""

from pathlib import Path

import pandas as pd

from layerwise.activations import ActivationStore
from layerwise.analyses.gather import check_data, copy_repeated, join_measured, tell_versions
from layerwise.analyses.gather import gather_model as gather
from layerwise.analyses.neuroids import add_errors, draw_neuroids
from layerwise.config import Study
from layerwise.files.tables import marked, read_table, write_both, write_table
from layerwise.statistics import summarise_models as summarise
from layerwise.steps.inputs import layers_in
from layerwise.study import (
    Layout,
    Plans,
    brain_columns,
    brain_scores,
    kept_activations,
    own_split,
    rating_scores,
    regions,
    scored_ratings,
)

_BRAIN = ["layer", "region", "split", "r", "r_neuroids"]  # columns of tables
_RATED = ["layer", "measure", "split", "rho"]
_CEILING, _CONSISTENCY = ["region", "half", "ceiling"], ["measure", "half", "ceiling"]


def gather_model(study: Study, model: str, folder: Path, output: Path, manifest: Path | None = None) -> None:
    """Gather the scores of one network, which lie in a folder of results: a row a layer.

    With `statistics.neuroids`, scores in samples of neuroids are written beside, into the folder of results.
    """
    layers, layout, plans = layers_in(study, model, manifest), Layout(str(folder)), Plans(study)
    brain = [copy_repeated(read_table(path, _BRAIN), layers) for path in brain_scores(plans, layout, model, layers)]
    rated = [copy_repeated(read_table(path, _RATED), layers) for path in rating_scores(plans, layout, model, layers)]
    ceilings = [read_table(layout.ceiling(region.name), _CEILING) for region in regions(study)]
    table = gather(
        model,
        layers,
        brain,
        [_of_own_split(table, study, model) for table in rated],
        ceilings,
        [
            read_table(layout.consistency(entry.name), _CONSISTENCY)
            for entry in scored_ratings(study, model)
            if entry.rater_columns
        ],
        {
            name: ActivationStore(path, model).attributes
            for name, path in kept_activations(study, model, layout).items()
        },
    )
    if study.statistics.neuroids is not None:
        drawn = draw_neuroids(brain, ceilings, study.statistics.neuroids, study.statistics.seed)
        add_errors(table, drawn)
        write_table(drawn, layout.drawn(model))
    write_table(table, output)


def gather_study(study: Study, folder: Path, output: Path, csv: Path | None = None) -> None:
    """Gather the networks of a study, whose tables lie in a folder of results, into one table: a row a layer."""
    layout = Layout(str(folder))
    tables = {entry.name: read_table(layout.model_layers(entry.name), ["model", "layer"]) for entry in study.models}
    check_data(tables)
    table = pd.concat(tables.values(), ignore_index=True)
    table.attrs = {"data": {name: one.attrs.get("data", {}) for name, one in tables.items()}}
    table.attrs |= join_measured(tables.values())
    table.attrs["nested"] = {name: one.attrs["nested"] for name, one in tables.items() if "nested" in one.attrs}
    tell_versions(tables)
    errors = {name: one.attrs["sketch_error"] for name, one in tables.items() if "sketch_error" in one.attrs}
    if errors:
        table.attrs["sketch_error"] = errors
    write_both(table, output, csv)


def summarise_models(study: Study, layers: Path, output: Path, csv: Path | None = None) -> None:
    """Find the best layer of each network for each region and measure."""
    columns = brain_columns(study) + [rating.measure for rating in study.ratings]
    table = read_table(layers, ["model", "layer", "depth", *columns])
    write_both(marked(summarise(table, columns, table.attrs.get("nested", {})), table), output, csv)


def _of_own_split(table: pd.DataFrame, study: Study, model: str) -> pd.DataFrame:
    """Refuse scores of a fine-tuned network on other splits than its own, whose test images it was trained on.

    Raises
    ------
    ValueError
        There are such.
    """
    for entry in study.ratings:
        rows = table[table["measure"] == entry.measure]
        own = own_split(study, model, entry.name) if len(rows) else None
        others = sorted(set(rows["split"]) - {own}) if own is not None else []
        if others:
            raise ValueError(
                f"{model} has scores on split {others[0] + 1} of {entry.name}, of which it has seen test images: "
                "delete its folder memorability, and run again"
            )
    return table
