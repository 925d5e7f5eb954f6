"""Tries other settings on the activations that a study has kept: a tool, and no step of the workflow."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from layerwise.activations import ActivationStore
from layerwise.analyses.brain import BrainSimilarity
from layerwise.analyses.memorability import BehaviouralAccuracy
from layerwise.analyses.sensitivity import Method, Sensitivity, list_methods, not_tried, score_layers, tabulate
from layerwise.config import Study
from layerwise.figures.sensitivity import plot_sensitivity
from layerwise.figures.style import save_figure
from layerwise.files import writable
from layerwise.files.tables import read_table, write_both
from layerwise.interfaces import Progress, no_progress
from layerwise.statistics import Sampling, correlate_layers
from layerwise.statistics.rows import table_of
from layerwise.steps.brain import similarity_with
from layerwise.steps.devices import choose_device, device_memory, limit_threads
from layerwise.steps.inputs import layers_in, scored_images
from layerwise.study import Layout, Region, activations_for, families_of, layout_of, regions

GEOMETRY = (
    "images cut otherwise need another extraction: run the study under another name with another `geometry` of the "
    "recordings or ratings, and name its config with --cut-otherwise"
)
UNREDUCED = "no images to fit principal components on are among the activations: set `brain.pca`, and run the study"
TABLE = "sensitivity.parquet"


def try_settings(
    study: Study,
    folder: Path,
    models: Sequence[str] = (),
    n_layers: int = 16,
    threads: int | None = None,
    progress: Progress = no_progress,
    cut_otherwise: Study | None = None,
) -> pd.DataFrame:
    """Correlate scores of layers again with other settings, one changed at a time.

    Parameters
    ----------
    study : Study
        The study, whose results are where it says.
    folder : path
        Where sensitivity.parquet, its figure, and scores.parquet (a row for each method, network and layer) go.
    models : sequence of str
        Networks; default: all whose activations are kept.
    n_layers : int
        Layers of each network with which solvers are compared.
    threads : int, optional
        Threads; default: those of the study.
    progress : Progress
        Shows how far the loop has come.
    cut_otherwise : Study, optional
        The same study with another geometry of its images, whose results are there.

    Returns
    -------
    DataFrame
        What sensitivity.parquet holds: the fields of `Sensitivity`.

    Raises
    ------
    ValueError
        The study has no regions or ratings, or no activations are kept; or the other study differs in more than its
        geometry, or has no results.
    """
    names, layout = [region.name for region in _responding(study)], layout_of(study)
    measures = [entry.measure for entry in study.ratings]
    if not names or not measures:
        raise ValueError("sensitivity is that of a correlation: the study needs recordings and ratings")
    cut = [] if cut_otherwise is None else _cut_otherwise(study, cut_otherwise, names, measures, models)
    writable(folder / TABLE)  # before hours of work
    limit_threads(threads or study.compute.threads)
    chosen = _kept(study, layout, models)
    brain, ratings = _similarities(study), _rated(study, layout, chosen)
    pca = study.brain.pca.components if study.brain.pca else None
    own = Method(study.regression.components, study.regression.solver, pca)
    rows: list[Sensitivity] = []
    scored: dict[Method, pd.DataFrame] = {}
    for tried in list_methods(own, pca, n_layers):
        method = tried[3]
        if method not in scored:
            parts = [_score(study, layout, model, method, brain, ratings, progress) for model in chosen]
            scored[method] = pd.concat(parts, ignore_index=True)
        found = correlate_layers(scored[method], names, measures, _sampling(study))
        rows += tabulate(tried, found, {measure: measure in ratings for measure in measures})
    pairs = [(region, measure) for measure in measures for region in names]
    rows += not_tried("pca", "any", UNREDUCED, pairs) if pca is None else []
    rows += cut or not_tried("geometry", "square or crop", GEOMETRY, pairs)
    table = table_of(rows, Sensitivity)
    _write(folder, table, scored)
    return table


def _cut_otherwise(
    study: Study, other: Study, names: Sequence[str], measures: Sequence[str], models: Sequence[str]
) -> list[Sensitivity]:
    """Correlate the layers of both studies as their results have them."""
    _require_same_but_geometry(study, other)
    own = Method(study.regression.components, study.regression.solver, None)
    rows: list[Sensitivity] = []
    for one in (study, other):
        layers = read_table(layout_of(one).layers, ["model", *names, *measures])
        layers = layers.assign(family=layers["model"].map(families_of(one)))
        chosen = layers[layers["model"].isin(models)] if models else layers
        found = correlate_layers(chosen, names, measures, _sampling(study))
        rows += tabulate(("geometry", _cut(one), one is study, own), found, dict.fromkeys(measures, True))
    return rows


def _cut(study: Study) -> str:
    """Name how the images are cut: one word, or one for recordings and ratings each."""
    words = ([entry.geometry for entry in entries] for entries in (study.recordings, study.ratings))
    recorded, rated = (" and ".join(dict.fromkeys(found)) for found in words)
    return recorded if recorded == rated else f"{recorded} (recordings), {rated} (ratings)"


def _require_same_but_geometry(study: Study, other: Study) -> None:
    if _cut(study) == _cut(other):
        raise ValueError(
            f"--cut-otherwise names a study whose images are cut as here ({_cut(study)}): name another one"
        )
    ours, theirs = _without_geometry(study), _without_geometry(other)
    differing = [name for name in ours if ours[name] != theirs[name]]
    if differing:
        raise ValueError(
            f"the study {other.study} of --cut-otherwise differs in {', '.join(differing)}, too: what the geometry "
            "does could not be told from that"
        )


def _without_geometry(study: Study) -> dict[str, object]:
    """Return all settings that decide the scores, but the geometry of images."""
    found = study.model_dump(
        exclude={"study", "storage", "compute", "statistics", "finetuning", "accuracy_gate", "imagenet"}
    )
    for entry in (*found["recordings"], *found["ratings"]):
        del entry["geometry"]
    return found


def _kept(study: Study, layout: Layout, models: Sequence[str]) -> list[str]:
    """Find the networks whose activations to all recordings are kept."""
    asked = [study.model_entry(name).name for name in models] or [entry.name for entry in study.models]
    recordings = {region.recording for region in _responding(study)}
    needed = [(name, activations_for(study, layout, name, one)) for name in asked for one in recordings]
    lost = {name for name, path in needed if not Path(path).is_file()}
    if lost and (models or len(lost) == len(asked)):
        raise ValueError(
            f"no activations of {', '.join(sorted(lost)[:3])}{' ...' if len(lost) > 3 else ''} are kept: set `storage: "
            "{activations: keep}`, run the study, then try other settings"
        )
    return [name for name in asked if name not in lost]


def _responding(study: Study) -> list[Region]:
    """List the regions whose responses are known, which PLS needs."""
    return [region for region in regions(study) if not study.recording(region.recording).is_rdm]


def _similarities(study: Study) -> dict[str, list[BrainSimilarity]]:
    """Open the regions of each recording."""
    compute = study.compute
    device = choose_device(compute.device, compute.gpus)
    memory = device_memory([device], compute.memory, compute.gpu_memory)
    found: dict[str, list[BrainSimilarity]] = {}
    for region in _responding(study):
        found.setdefault(region.recording, []).append(similarity_with(study, region.name, device, memory))
    return found


def _rated(study: Study, layout: Layout, models: Sequence[str]) -> dict[str, tuple[str, BehaviouralAccuracy]]:
    """Open the ratings to whose images all networks have activations, by measure: their name, and what scores them."""
    device = choose_device(study.compute.device, study.compute.gpus)
    return {
        entry.measure: (
            entry.name,
            BehaviouralAccuracy(scored_images(study, models[0], entry.name), entry.measure, device=device),
        )
        for entry in study.ratings
        if all(Path(layout.activations(model, entry.name)).is_file() for model in models)
    }


def _score(
    study: Study,
    layout: Layout,
    model: str,
    method: Method,
    brain: dict[str, list[BrainSimilarity]],
    rated: dict[str, tuple[str, BehaviouralAccuracy]],
    progress: Progress,
) -> pd.DataFrame:
    manifest = Path(layout.manifest(model))
    layers = layers_in(study, model, manifest if manifest.is_file() else None)
    stores = {name: ActivationStore(activations_for(study, layout, model, name), model) for name in brain}
    held = [(similarity, stores[name]) for name, group in brain.items() for similarity in group]
    shown = [(one, ActivationStore(layout.activations(model, name), model)) for name, one in rated.values()]
    table = score_layers(method, layers, held, shown, progress)
    table.insert(0, "model", model)
    reused = [entry.measure for entry in study.ratings if entry.measure not in rated]
    if reused:
        known = read_table(layout.model_layers(model), ["layer", *reused]).set_index("layer")
        table[reused] = known.loc[table["layer"], reused].to_numpy()
    return table.assign(family=families_of(study).get(model, model))


def _sampling(study: Study) -> Sampling:
    given = study.statistics
    return Sampling(given.level, given.draws, given.seed, given.interval, given.cluster)


def _write(folder: Path, table: pd.DataFrame, scored: dict[Method, pd.DataFrame]) -> None:
    parts = [
        one.assign(n_components=method.n_components, solver=method.solver, pca=method.pca, some=method.n_layers)
        for method, one in scored.items()
    ]
    write_both(pd.concat(parts, ignore_index=True), folder / "scores.parquet")
    write_both(table, folder / TABLE, folder / "sensitivity.csv")
    save_figure(plot_sensitivity(table), [folder / f"sensitivity.{ending}" for ending in ("pdf", "svg", "png")])
