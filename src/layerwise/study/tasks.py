"""All jobs of a study with the files that they read, make and leave, known without Snakemake.

This says of the rules in `workflow/rules` what can be said beforehand; tests hold it against what Snakemake plans.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from layerwise.config.study import PCA_IMAGES
from layerwise.study.finetuning import (
    finetuned_models,
    finetuned_ratings,
    finetuned_splits,
    finetuning_groups,
    finetuning_pixels_for,
)
from layerwise.study.layers import lists_layers
from layerwise.study.layout import (
    FINETUNED_FILES,
    FINETUNING_ANALYSES,
    HISTORY,
    PREDICTIONS,
    WEIGHTS,
    layout_of,
)
from layerwise.study.plan import Plans
from layerwise.study.profiles import networks_of, profiled_networks, scored_ratings, trained_weights
from layerwise.study.ratings import method_of
from layerwise.study.regions import regions
from layerwise.study.results import (
    brain_scores,
    described_tables,
    drawn_scores,
    final_results,
    pca_pixels_for,
    penultimate_results,
    penultimate_weights,
    pixels_for,
    rating_scores,
)
from layerwise.study.stimuli import shared_stimuli

FITS = {"stored": "score_memorability", "streamed": "stream_memorability", "sketched": "sketch_memorability"}
UNMEASURED = {"export_recordings", "plot_history"}  # rules whose jobs have names, and no benchmark


@dataclass(frozen=True)
class Task:
    """A job, by its files.

    Parameters
    ----------
    step : str
        What it does: the name of its rule, but for rules that are made for one file each.
    rule : str
        The name of its rule.
    names : mapping of str to str
        Snakemake's wildcards, in the order of the paths of its results.
    inputs : tuple of str
        Results of other jobs that it reads.
    outputs : tuple of str
        What it makes.
    log, benchmark : str
        What it says; its time and memory, empty where they are not measured.
    kept : bool
        Whether its results stay after they were used.
    """

    step: str
    rule: str
    names: Mapping[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    log: str
    benchmark: str = ""
    kept: bool = True

    @property
    def comment(self) -> str:
        """How the SLURM plugin of Snakemake marks it (`squeue --format=%k`)."""
        values = "_".join(self.names.values()).replace("/", "_")
        return f"rule_{self.rule}_wildcards_{values}" if values else f"rule_{self.rule}"


@dataclass
class Tasks:
    """The jobs of a study, in the order of the data.

    Parameters
    ----------
    tasks : list of Task
        Those that are known.
    unknown : list of str
        A sentence for each network of which more jobs are not known yet.
    targets : frozenset of str
        The results that are asked for.
    """

    tasks: list[Task] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    targets: frozenset[str] = frozenset()

    def making(self) -> dict[str, Task]:
        """Map each file to the job that makes it."""
        return {path: task for task in self.tasks for path in task.outputs}


def list_tasks(plans: Plans, targets: Sequence[str] | None = None) -> Tasks:
    """List the jobs of a study.

    Parameters
    ----------
    plans : Plans
        Of the study.
    targets : sequence of str, optional
        Only the jobs behind these results; default: all that a study ends with.
    """
    lister = _Lister(plans)
    every = Tasks(list(lister.all()), lister.unknown)
    wanted = final_results(plans.study, lister.layout) if targets is None else targets
    needed = _behind(every.making(), wanted)
    return Tasks([task for task in every.tasks if id(task) in needed], every.unknown, frozenset(wanted))


def _behind(making: Mapping[str, Task], targets: Iterable[str]) -> set[int]:
    """Identify the jobs that some files, and what they are made from, are made by."""
    found: set[int] = set()
    waiting = [making[path] for path in targets if path in making]
    while waiting:
        task = waiting.pop()
        if id(task) not in found:
            found.add(id(task))
            waiting += [making[path] for path in task.inputs if path in making]
    return found


class _Lister:
    """Lists jobs rule by rule."""

    def __init__(self, plans: Plans) -> None:
        self.plans, self.study = plans, plans.study
        self.layout = layout_of(self.study)
        self.models = networks_of(self.study)
        self.unknown: list[str] = []

    def all(self) -> Iterator[Task]:
        yield from self._inputs()
        for model in self.models:
            yield from self._network(model)
            yield from self._scores(model)
        yield from self._fine_tuning()
        yield from self._tables()

    def _task(
        self,
        step: str,
        names: Mapping[str, str],
        inputs: Iterable[str | None],
        outputs: Iterable[str],
        rule: str = "",
        logged: Sequence[str] | None = None,
        kept: bool = True,
    ) -> Task:
        parts = tuple(names.values()) if logged is None else tuple(logged)
        measured = bool(parts) and not step.startswith("gather") and step not in UNMEASURED
        benchmark = self.layout.benchmark(step, *parts) if measured else ""
        read = tuple(filter(None, inputs))
        return Task(step, rule or step, names, read, tuple(outputs), self.layout.log(step, *parts), benchmark, kept)

    # --- data ---------------------------------------------------------------------------------------------------

    def _inputs(self) -> Iterator[Task]:
        for entry in self.study.recordings:
            if entry.brainscore:
                rule = f"export_recordings_{entry.name}"
                yield self._task("export_recordings", {}, [], [str(entry.file)], rule, [entry.name])
        for path, (stimuli, geometry) in self._pixels().items():
            names = {"stimuli": stimuli, "geometry": geometry}
            yield self._task("pack_stimuli", names, self._exported(stimuli), [path])
        for region in regions(self.study):
            path = self.layout.ceiling(region.name)
            yield self._task("estimate_ceiling", {"region": region.name}, self._exported(region.recording), [path])
        for rating in self.study.ratings:
            if rating.rater_columns:
                yield self._task(
                    "estimate_consistency", {"ratings": rating.name}, [], [self.layout.consistency(rating.name)]
                )

    def _shared(self, stimuli: str) -> str:
        return shared_stimuli(self.study, stimuli)

    def _exported(self, stimuli: str) -> list[str]:
        return [str(entry.file) for entry in self.study.recordings if entry.brainscore and entry.name == stimuli]

    def _pixels(self) -> dict[str, tuple[str, str]]:
        """Name stimulus sets and geometries of all files of pixels that networks may see."""
        found: dict[str, tuple[str, str]] = {}
        for model in self.models:
            expected = self.plans.preprocessing(model)
            for stimuli in map(self._shared, self.study.stimulus_sets() if expected else []):
                if stimuli == PCA_IMAGES:
                    continue
                assert expected is not None
                paths = {pixels_for(self.study, self.layout, stimuli, expected): stimuli}
                fitted = pca_pixels_for(self.study, self.layout, stimuli, expected)
                paths |= {fitted: PCA_IMAGES} if fitted else {}
                if model in finetuned_models(self.study) and stimuli == finetuned_ratings(self.study):
                    paths[finetuning_pixels_for(self.study, self.layout, stimuli, expected)] = stimuli
                found |= {path: (name, path.rsplit("/", 1)[1].removesuffix(".h5")) for path, name in paths.items()}
        return found

    # --- networks -----------------------------------------------------------------------------------------------

    def _network(self, model: str) -> Iterator[Task]:
        layout, names = self.layout, {"model": model}
        if self._is_own(model):
            listed = [layout.manifest(model), layout.skipped(model), layout.preprocessing(model)]
            yield self._task("list_layers", names, [], listed)
        if self._gate(model):
            yield self._task("check_accuracy", names, self._weights(model), [layout.accuracy(model)])
        stored = list(dict.fromkeys(self._shared(entry.name) for entry in self.study.recordings))
        stored += [entry.name for entry in scored_ratings(self.study, model) if self._method(entry.name) == "stored"]
        kept = self.study.storage.activations != "temporary"
        for stimuli in stored:
            inputs = [*self._seen(model, stimuli), *self._manifest(model)]
            path = layout.activations(model, stimuli)
            yield self._task("extract_activations", {**names, "stimuli": stimuli}, inputs, [path], kept=kept)

    def _scores(self, model: str) -> Iterator[Task]:
        layout, names = self.layout, {"model": model}
        try:
            layers = self.plans.layers(model)
            brain = brain_scores(self.plans, layout, model, layers)
            rated = rating_scores(self.plans, layout, model, layers)
        except ValueError as error:
            self.unknown.append(str(error))
            brain, rated = [], []
        recording = {region.name: region.recording for region in regions(self.study)}
        for path in brain:
            region, block = _last_two(path)
            stimuli = recording[region]
            inputs = [
                layout.activations(model, self._shared(stimuli)),
                *self._exported(stimuli),
                *self._manifest(model),
            ]
            yield self._task("score_brain", {**names, "region": region, "block": block}, inputs, [path])
        for path in rated:
            ratings, block = _last_two(path)
            method = self._method(ratings)
            seen = [layout.activations(model, ratings)] if method == "stored" else self._seen(model, ratings)
            scored = {**names, "ratings": ratings, "block": block}
            yield self._task(FITS[method], scored, [*seen, *self._manifest(model)], [path])
        ceilings = [layout.ceiling(name) for name in recording]
        raters = [entry for entry in scored_ratings(self.study, model) if entry.rater_columns]
        inputs = [*brain, *rated, *ceilings, *(layout.consistency(entry.name) for entry in raters)]
        drawn = [layout.drawn(model)] if self.study.statistics.neuroids else []
        outputs = [layout.model_layers(model), *drawn]
        yield self._task("gather_model", names, [*inputs, *self._manifest(model)], outputs)

    def _method(self, ratings: str) -> str:
        return method_of(self.study, ratings)

    def _is_own(self, model: str) -> bool:
        return lists_layers(self.models[model])

    def _manifest(self, model: str) -> list[str]:
        return [self.layout.manifest(model)] if self._is_own(model) else []

    def _gate(self, model: str) -> list[str]:
        gated = self.study.accuracy_gate and self.models[model].published is not None
        return [self.layout.accuracy(model)] if gated else []

    def _weights(self, model: str) -> list[str]:
        return trained_weights(self.models[model], self.layout)

    def _seen(self, model: str, stimuli: str) -> list[str | None]:
        """List what a network that runs over a stimulus set reads."""
        expected = self.plans.preprocessing(model)
        if expected is None:
            return [*self._gate(model), *self._weights(model)]
        pixels = pixels_for(self.study, self.layout, stimuli, expected)
        fitted = pca_pixels_for(self.study, self.layout, stimuli, expected)
        return [*self._gate(model), pixels, fitted, *self._weights(model)]

    # --- fine-tuned networks ------------------------------------------------------------------------------------

    def _fine_tuning(self) -> Iterator[Task]:
        for model in finetuned_models(self.study):
            yield from self._trained(model)
            yield self._penultimate(model)
            yield self._gathered(model)

    def _trained(self, model: str) -> Iterator[Task]:
        groups, layout = finetuning_groups(self.study), self.layout
        shared = self.study.finetuning is not None and self.study.finetuning.folds_per_job > 1
        expected, ratings = self.plans.preprocessing(model), finetuned_ratings(self.study)
        pixels = finetuning_pixels_for(self.study, layout, ratings, expected) if expected else None
        for splits in groups:
            outputs = [layout.finetuned(model, split, file) for split in splits for file in FINETUNED_FILES]
            numbered = shared and len(groups) > 1
            rule = "_".join(["finetune_network", *(splits if numbered else [])])
            names = {"model": model} if shared else {"model": model, "split": splits[0]}
            inputs = [*self._gate(model), pixels]
            yield self._task("finetune_network", names, inputs, outputs, rule, [model, "-".join(splits)])

    def _penultimate(self, model: str) -> Task:
        layout, recorded = self.layout, [entry.name for entry in self.study.recordings]
        trained = [layout.finetuned(model, split, WEIGHTS) for split in finetuned_splits(self.study)]
        seen = [path for name in recorded for path in [*self._seen(model, name), *self._exported(name)]]
        outputs = penultimate_results(self.study, layout, model)
        return self._task("score_penultimate", {"model": model}, [*seen, *trained], outputs)

    def _gathered(self, model: str) -> Task:
        layout, splits = self.layout, finetuned_splits(self.study)
        read = [layout.finetuned(model, split, file) for split in splits for file in (HISTORY, PREDICTIONS)]
        read += [layout.penultimate_scores(model, weights) for weights in penultimate_weights(self.study)]
        return self._task("gather_finetuned", {"model": model}, read, [layout.model_finetuned(model)])

    # --- tables and figures -------------------------------------------------------------------------------------

    def _tables(self) -> Iterator[Task]:
        """Yield the jobs that gather, analyse and draw the study; those that it does not ask for are left out later."""
        layout, trained = self.layout, finetuned_models(self.study)
        layers, tuned = layout.layers, layout.finetuned_table
        gathered = [layout.model_layers(entry.name) for entry in self.study.models]
        yield self._whole("gather_study", gathered, [layers, layout.table("layers", "csv")])
        tables = [layout.model_finetuned(model) for model in trained]
        yield self._whole("gather_finetuned_study", tables, [tuned, layout.table("finetuned", "csv")])
        profiled = [layout.model_layers(name) for name in profiled_networks(self.study)]
        outputs = [layout.finetuned_layers, layout.table("finetuned_layers", "csv")]
        yield self._whole("gather_finetuned_layers", profiled, outputs)
        yield from self._analyses(layers, tuned, [tuned] if trained else [])
        yield from self._drawn(layers, tuned)
        for model in trained:
            epochs = [layout.finetuned(model, split, HISTORY) for split in finetuned_splits(self.study)]
            yield self._task("plot_history", {"model": model}, epochs, layout.history_figure(model))
        described = described_tables(self.study, layout)
        yield self._whole("describe_tables", described, [layout.table("dictionary", "csv")])
        yield self._whole("make_report", described, [layout.report])

    def _analyses(self, layers: str, tuned: str, trained: list[str]) -> Iterator[Task]:
        table, both = self.layout.table, self.layout.analyses
        for step, name in (
            ("summarise_models", "models"),
            ("tabulate_networks", "networks"),
            ("correlate_regions", "regions"),
        ):
            yield self._whole(step, [layers], both((name,)))
        drawn = drawn_scores(self.study, self.layout)
        yield self._whole("correlate_layers", [layers, *drawn], both(("correlations",)))
        yield self._whole("analyse_layers", [layers], both())
        yield self._whole("compare_finetuning", [tuned], both(FINETUNING_ANALYSES))
        networks = "network_scores", "network_correlations"
        yield self._whole("score_networks", [layers, table("networks"), *trained], both(networks))
        read = [layers, *map(table, ("correlations", *networks))]
        yield self._whole("compare_paper", read, both(("published", "reproduction")))

    def _drawn(self, layers: str, tuned: str) -> Iterator[Task]:
        table, figure = self.layout.table, self.layout.figure
        controls = [table("network_scores"), table("network_correlations")]
        read = [layers, *map(table, ("correlations", "networks", "within_between"))]
        yield self._whole("plot_figure2", read, figure("figure2"))
        yield self._whole("plot_profiles", [layers, table("networks")], figure("profiles"))
        yield self._whole("plot_depth", [layers, table("networks")], figure("depth"))
        yield self._whole("plot_regions", [table("regions")], figure("regions"))
        yield self._whole("plot_forest", [table("per_network"), table("correlations")], figure("forest"))
        yield self._whole("plot_figure4", controls, figure("figure4"))
        yield self._whole("plot_figure_s1", controls, figure("figureS1"))
        yield self._whole("plot_figure3", [tuned], figure("figure3"))
        yield self._whole("plot_change", [tuned], figure("figure3_change"))

    def _whole(self, step: str, inputs: Iterable[str], outputs: Iterable[str]) -> Task:
        return self._task(step, {}, inputs, outputs)


def _last_two(path: str) -> tuple[str, str]:
    """Read the folder and the name of a file of scores."""
    folder, file = path.rsplit("/", 2)[1:]
    return folder, file.removesuffix(".parquet")
