"""What each step depends on, and what it reads that changes no result.

A setting is written as its keys in the config, with a dot between. The singular (``recording.splits``) means that of
the recording, ratings or network that a job is about, the plural (``ratings.measure``) those of all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

from layerwise.interfaces import FinetuneSettings


@dataclass(frozen=True)
class Step:
    """What a step's results depend on.

    Parameters
    ----------
    function : str
        Where it is, such as ``"layerwise.steps.brain:score_brain"``; its code is found from this.
    depends_on : tuple of str
        Settings, and causes of `STANDS_FOR`: a change in one of them makes the step's results stale.
    only_with : mapping of str to str
        Settings among these that count only where another one is set.
    changes_nothing : mapping of str to str
        Settings that it reads otherwise, each with the reason why they change no result of this step.
    files : tuple of str
        Files of the package that its results are made of beside code, by their paths in it.
    """

    function: str
    depends_on: tuple[str, ...] = ()
    only_with: Mapping[str, str] = field(default_factory=dict)
    changes_nothing: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()


STANDS_FOR: dict[str, tuple[str, ...]] = {
    "network": ("model", "compute.versions", "storage.results"),
    "weights": ("model", "storage.weights"),
    "layers": ("model",),
    "region": ("recordings.regions", "recordings.file", "ratings.measure"),
    "regions": ("recordings.regions", "recordings.file", "ratings.measure"),
    "columns": ("recordings.regions", "recordings.file", "ratings.measure", "recordings.measures", "brain.measures"),
    "recording": ("recording.file",),
    "recordings": ("recordings.file",),
    "tested stimuli": ("recording.splits",),
    "scores": ("rating.scores", "rating.splits"),
    "tables": ("recording.file", "rating.scores", "rating.splits"),
    "images": ("recording.images", "rating.images", "brain.pca.images"),
    "drawn images": ("brain.pca.n_images",),
    "imagenet": ("imagenet",),
    "facts": ("models", "statistics.families"),
    "paper": ("models", "recordings", "ratings", "regression.components"),
    "families": ("models", "statistics.families"),
    "accuracies": ("models",),
}
"""Causes that are no plain settings, since a hash of files or something derived says more; and the settings that each
stands for:

- network: all that decides what a network computes (`network_settings`)
- weights: content of the file of weights that a user gives
- layers: name, kind, shape and depth of each layer, what it repeats, and what its output is reduced to
- region, regions: recording and label of the job's region, or of all
- columns: those of layers.parquet that hold layers against the brain
- recording, scores, tables: content of the recording, of the tables of ratings, of either
- recordings: content of all recordings
- tested stimuli: the splits of the recording where they are given, since ceilings are then of the tested stimuli
- images: names and content of the images that these name
- drawn images: how many are drawn for principal components, where a job is about these
- imagenet: content of ImageNet's images and labels
- facts: what is published of the networks
- paper: in what the study differs from the paper's
- families, accuracies: the family of each network, and the published accuracy of those that have one
"""

RUN_ONLY: dict[str, str] = {
    "study": "names the folder of results",
    "models.name": "is in the path of each result",
    "recordings.name": "is in the path of each result",
    "ratings.name": "is in the path of each result",
    "model.name": "is in the path of each result",
    "model.sha256": "says what the weights must be, whose content counts",
    "recording.name": "is in the path of each result",
    "rating.name": "is in the path of each result",
    "compute.threads": "sums in another order differ by rounding alone",
    "compute.device": "CPU and GPU are held to agree (docs/architecture.md)",
    "compute.gpus": "says how many layers share a job; each is computed by itself",
    "compute.memory": "says how many layers share a forward pass; each is computed by itself",
    "compute.gpu_memory": "says how many layers share a forward pass; each is computed by itself",
    "compute.batch_size": "sums in another order differ by rounding alone",
    "compute.layers_per_job": "is in the name of each file of scores",
    "storage.results": "names the folder of results",
    "storage.weights": "names the folder of weights, which count by their content or their published checksum",
    "storage.activations": "says how long activations are kept",
    "memorability.small": "decides which step scores ratings, and each step has its own code",
    "memorability.method": "decides which step scores ratings, and each step has its own code",
    "memorability.disk": "says how many layers share a job; each is sketched by itself",
    "finetuning.models": "says which networks are trained on; each is by itself",
    "finetuning.splits": "is in the path of each result of a split",
    "finetuning.folds_per_job": "says how many splits share a job; each is trained by itself",
    "memorability.save_every": "says how often the state of a job is saved",
}
"""Settings that say only how or where to run, each with the reason why they change no result."""

_NEUROIDS = ("region", "recording", "recording.animals", "recording.min_reliability")
_FOLDS = ("rating.folds", "rating.seed", "rating.fold_column")
_SCORES = ("rating.image_column", "rating.score_column", "rating.rater_columns", "rating.unscored_images")
_RATED = ("scores", *_SCORES, *_FOLDS, "rating.measure", "regression.components")
_TRAINING = tuple(f"finetuning.{one.name}" for one in fields(FinetuneSettings))
_NETWORK = ("network", "weights", "layers")
_OVER_LAYERS = ("columns", "ratings.measure", "statistics", "families")
_IMAGES_ARE_INPUTS = {"rating.images": "the images of a set are those of its pixels, which are an input"}
_OWN_SPLIT = {"finetuning.ratings": "read of fine-tuned networks alone, whose weights are an input"}

STEPS: dict[str, Step] = {
    "list_layers": Step("layerwise.steps.networks:list_layers", ("network", "model.layers")),
    "check_accuracy": Step("layerwise.steps.networks:check_accuracy", ("network", "weights", "imagenet")),
    "pack_stimuli": Step(
        "layerwise.steps.stimuli:pack_stimuli",
        (
            "tables",
            "images",
            "drawn images",
            "rating.image_column",
            "rating.unscored_images",
        ),
        changes_nothing=dict.fromkeys(
            (*_FOLDS, "rating.score_column", "rating.rater_columns"), "each image that has a row is packed"
        ),
    ),
    "extract_activations": Step(
        "layerwise.steps.activations:extract_activations",
        _NETWORK,
        changes_nothing={
            "brain.pca": "only checked against the number of images; those are in the pixels, an input",
            **_OWN_SPLIT,
        },
    ),
    "estimate_ceiling": Step(
        "layerwise.steps.brain:estimate_ceiling", (*_NEUROIDS, "tested stimuli", "regression.halves")
    ),
    "score_brain": Step(
        "layerwise.steps.brain:score_brain",
        (
            "layers",
            *_NEUROIDS,
            "recording.splits",
            "regression.components",
            "regression.solver",
            "regression.halves",
            "brain.pca.components",
            "recording.measures",
            "brain.measures",
            "brain.ridge",
            "brain.rsa",
        ),
        only_with={"regression.halves": "recording.min_reliability"},
    ),
    "estimate_consistency": Step(
        "layerwise.steps.memorability:estimate_consistency", ("scores", "rating.rater_columns", "rating.measure")
    ),
    "score_memorability": Step(
        "layerwise.steps.memorability:score_memorability",
        ("layers", *_RATED, "regression.solver"),
        changes_nothing=_IMAGES_ARE_INPUTS | _OWN_SPLIT,
    ),
    "stream_memorability": Step(
        "layerwise.steps.memorability:stream_memorability",
        (*_NETWORK, *_RATED, "memorability.convolutions"),
        changes_nothing=_IMAGES_ARE_INPUTS | _OWN_SPLIT,
    ),
    "sketch_memorability": Step(
        "layerwise.steps.memorability:sketch_memorability",
        (*_NETWORK, *_RATED, "memorability.convolutions", "memorability.dimensions", "memorability.seed"),
        changes_nothing=_IMAGES_ARE_INPUTS | _OWN_SPLIT,
    ),
    "finetune_network": Step(
        "layerwise.steps.finetuning:finetune_network",
        ("network", "weights", "scores", *_SCORES, *_FOLDS, "rating.measure", *_TRAINING),
        changes_nothing={
            **_IMAGES_ARE_INPUTS,
            "finetuning.ratings": "names scores and images that count by their content",
            "rating.geometry": "the geometry is that of the pixels, which are an input",
        },
    ),
    "score_penultimate": Step(
        "layerwise.steps.penultimate:score_penultimate",
        (
            "network",
            "weights",
            "regions",
            "recordings",
            "recordings.animals",
            "recordings.min_reliability",
            "recordings.splits",
            "regression.components",
            "regression.solver",
            "regression.halves",
            "brain.pca.components",
        ),
        changes_nothing={"brain.pca": "the images that it is fitted on are in the pixels, an input"},
    ),
    "gather_finetuned": Step(
        "layerwise.steps.finetuned:gather_finetuned",
        ("regions", "scores", *_SCORES, *_FOLDS, "rating.measure"),
        changes_nothing={
            **_IMAGES_ARE_INPUTS,
            "finetuning.ratings": "names scores that count by their content",
        },
    ),
    "gather_finetuned_study": Step(
        "layerwise.steps.finetuned:gather_finetuned_study",
        ("models.name",),
        changes_nothing={"models.weights": "says which networks are trained on; their tables are the inputs"},
    ),
    "gather_model": Step(
        "layerwise.steps.tables:gather_model",
        (
            *("layers", "regions", "ratings.name", "ratings.measure", "ratings.rater_columns"),
            *("statistics.neuroids", "statistics.seed"),
        ),
        only_with={"statistics.seed": "statistics.neuroids"},
        changes_nothing=dict.fromkeys(
            (
                "ratings.scores",
                "ratings.splits",
                "ratings.folds",
                "ratings.fold_column",
                "regression.components",
                "memorability.dimensions",
            ),
            "decides into how many blocks the layers are divided; their scores are the inputs",
        )
        | dict.fromkeys(
            (
                "recordings.images",
                "recordings.geometry",
                "recordings.visual_degrees",
                "recordings.beyond_screen",
                "recordings.brainscore",
                "screen_degrees",
            ),
            "decides which recordings share activations; those that are kept only prove what scores were made from",
        )
        | _OWN_SPLIT,
    ),
    "gather_study": Step("layerwise.steps.tables:gather_study", ("models.name",)),
    "gather_finetuned_layers": Step(
        "layerwise.steps.profiles:gather_finetuned_layers",
        ("models.name",),
        changes_nothing=dict.fromkeys(
            (
                "models.weights",
                "finetuning.profile",
                "finetuning.ratings",
                "ratings.splits",
                "ratings.scores",
                "ratings.folds",
                "ratings.fold_column",
            ),
            "decides which networks and splits there are; their tables are the inputs",
        ),
    ),
    "correlate_layers": Step("layerwise.steps.statistics:correlate_layers", _OVER_LAYERS),
    "analyse_layers": Step("layerwise.steps.statistics:analyse_layers", (*_OVER_LAYERS, "accuracies")),
    "compare_finetuning": Step("layerwise.steps.statistics:compare_finetuning", ("regions", "statistics", "families")),
    "summarise_models": Step("layerwise.steps.tables:summarise_models", ("columns", "ratings.measure")),
    "tabulate_networks": Step("layerwise.steps.paper:tabulate_networks", ("facts",)),
    "score_networks": Step("layerwise.steps.paper:score_networks", ("columns", "ratings.measure")),
    "correlate_regions": Step("layerwise.steps.paper:correlate_regions", ("columns", "ratings.measure")),
    "compare_paper": Step("layerwise.steps.paper:compare_paper", ("paper", "columns", "ratings.measure")),
    "describe_tables": Step("layerwise.steps.dictionary:describe_tables"),
    "plot_figure2": Step("layerwise.steps.figures:plot_figure2"),
    "plot_figure3": Step("layerwise.steps.finetuned:plot_figure3", ("families",)),
    "plot_change": Step("layerwise.steps.finetuned:plot_change", ("families",)),
    "plot_history": Step("layerwise.steps.finetuned:plot_history"),
    "plot_figure4": Step("layerwise.steps.figures:plot_figure4"),
    "plot_figure_s1": Step("layerwise.steps.figures:plot_figure_s1"),
    "plot_profiles": Step("layerwise.steps.figures:plot_profiles"),
    "plot_depth": Step("layerwise.steps.figures:plot_depth"),
    "plot_regions": Step("layerwise.steps.figures:plot_regions"),
    "plot_forest": Step("layerwise.steps.figures:plot_forest"),
    "make_report": Step(
        "layerwise.steps.report:make_report", files=("report/report.css", "report/report.html", "report/report.js")
    ),
}

_PLURAL = {"model": "models", "recording": "recordings", "rating": "ratings"}


def is_declared(step: str, setting: str, is_set: Iterable[str] = ()) -> bool:
    """Return whether a step may read a setting.

    Parameters
    ----------
    step : str
        Name of the step.
    setting : str
        What it reads, or a section that it reads whole.
    is_set : iterable of str
        Of the settings that others count with (`only_with`), those that are set.
    """
    declared, counted = STEPS[step], set(is_set)
    of_step = [one for one in declared.depends_on if declared.only_with.get(one) in {None, *counted}]
    allowed = [name for one in of_step for name in STANDS_FOR.get(one, (one,))]
    singular, _, rest = setting.partition(".")
    names = {setting, f"{_PLURAL[singular]}.{rest}"} if singular in _PLURAL else {setting}
    known = (*allowed, *declared.changes_nothing, *RUN_ONLY)
    return any(name == one or name.startswith(f"{one}.") for name in names for one in known)
