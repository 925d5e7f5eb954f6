# What the stage files share: the validated study, where things lie, and the functions behind their inputs.
import re
import shlex
import sys
from dataclasses import astuple
from pathlib import Path

from snakemake.exceptions import WorkflowError

from layerwise.config import validate_study
from layerwise.config.load import parse_yaml
from layerwise.config.study import PCA_IMAGES
from layerwise.files import hash_file, hash_object, hash_source
from layerwise.layers.blocks import blocks
from layerwise.layers.manifest import read_manifest
from layerwise.planning import (
    fingerprint,
    geometry_of,
    layers_of,
    network_settings,
    on_gpu,
    pca_geometry,
    preprocessing_of,
    present,
    rating_blocks,
    read_preprocessing,
    regions,
    stimulus_files,
    way_of,
)

# Jobs find `layerwise` where this Snakemake's Python lies, also where the environment is not activated. It comes last,
# so that a conda environment goes before it.
shell.prefix(f'PATH="$PATH:{Path(sys.executable).parent}"; ')

try:
    # Snakemake keeps the last value of a key that is given twice.
    for path in workflow.configfiles:
        parse_yaml(Path(path).read_text(encoding="utf-8"), str(path))
    STUDY = validate_study(config)
    REGIONS = {region.name: region for region in regions(STUDY)}
except ValueError as error:
    raise WorkflowError(str(error)) from None

CONTENT = STUDY.model_dump_json()
RESULTS = f"{STUDY.storage.results}/{STUDY.study}"
LOGS = f"{RESULTS}/logs"
CONFIG = f"{RESULTS}/config.yaml"  # written when a run starts; what each step needs of it is among its parameters
ENVIRONMENT = "../../envs/layerwise.yaml"
MODELS = {entry.name: entry for entry in STUDY.models}
RATINGS = {entry.name: entry for entry in STUDY.ratings}
RATED = [name for name, entry in RATINGS.items() if entry.rater_columns]
WAYS = {name: way_of(STUDY, name) for name in RATINGS}
STIMULI = STUDY.stimulus_sets()
EXPORTED = {entry.name: entry for entry in STUDY.recordings if entry.brainscore}
SHIPPED = {name: layers_of(entry) for name, entry in MODELS.items()}
OWN_MODELS = [name for name, layers in SHIPPED.items() if layers is None]
FIGURE2 = [f"{RESULTS}/figures/figure2.{ending}" for ending in ("pdf", "svg", "png")]

# The modules behind each step: an edit in one of them makes the results of that step stale, and of no other.
CODE = {
    "list_layers": [
        "layerwise.layers.listing",
        "layerwise.layers.probing",
        "layerwise.models.building",
    ],
    "check_accuracy": [
        "layerwise.data.images",
        "layerwise.models.accuracy",
        "layerwise.models.building",
        "layerwise.cli.proof:measure",
    ],
    "pack_stimuli": [
        "layerwise.data.folders",
        "layerwise.data.pixels",
        "layerwise.data.ratings",
        "layerwise.data.recordings",
        "layerwise.cli.sources:rated_images",
        "layerwise.cli.sources:stimulus_set",
    ],
    "extract_activations": [
        "layerwise.activations.extract",
        "layerwise.activations.probe",
        "layerwise.data.pixels",
        "layerwise.models.building",
        "layerwise.cli.sources:with_pca_images",
    ],
    "estimate_ceiling": [
        "layerwise.analyses.ceiling",
        "layerwise.analyses.reliability",
        "layerwise.data.recordings",
        "layerwise.cli.sources:region_recordings",
    ],
    "estimate_consistency": ["layerwise.analyses.ceiling", "layerwise.data.ratings"],
    "score_brain": [
        "layerwise.analyses.brain",
        "layerwise.analyses.reliability",
        "layerwise.data.recordings",
        "layerwise.layers.blocks",
        "layerwise.cli.sources:region_recordings",
    ],
    "score_memorability": [
        "layerwise.analyses.memorability",
        "layerwise.data.ratings",
        "layerwise.layers.blocks",
        "layerwise.cli.sources:rated_images",
    ],
    "stream_memorability": [
        "layerwise.streaming.fit",
        "layerwise.activations.probe",
        "layerwise.analyses.streamed",
        "layerwise.data.pixels",
        "layerwise.data.ratings",
        "layerwise.layers.blocks",
        "layerwise.models.building",
        "layerwise.cli.sources:rated_images",
    ],
    "sketch_memorability": [
        "layerwise.sketching.fit",
        "layerwise.activations.probe",
        "layerwise.analyses.streamed",
        "layerwise.data.pixels",
        "layerwise.data.ratings",
        "layerwise.layers.blocks",
        "layerwise.models.building",
        "layerwise.cli.sources:rated_images",
    ],
    "gather_model": ["layerwise.analyses.gather"],
    "gather_study": [],
    "correlate_layers": ["layerwise.statistics.correlation"],
    "summarise_models": ["layerwise.statistics.summary"],
    "plot_figure2": ["layerwise.figures.figure2", "layerwise.figures.style"],
}


def hash_layers(layers):
    """Changes with any layer."""
    return hash_object([astuple(layer) for layer in layers])


SHIPPED_HASHES = {
    name: hash_layers(layers) for name, layers in SHIPPED.items() if layers
}


def one_of(names):
    """A wildcard that is one of these names, or nothing at all if there are none."""
    return "|".join(map(re.escape, sorted(names))) or "(?!)"


def code_of(step):
    """Hash of the modules that a step uses."""
    return hash_source(*CODE[step], f"layerwise.cli.steps:{step}")


# --- own networks: their layers are known once a job has listed them ---------------------------------------------


def listed(model):
    """The outputs of list_layers for an own network; the workflow waits for them."""
    return checkpoints.list_layers.get(model=model).output


def manifest_of(wildcards):
    """The table of an own network's layers; that of a network that layerwise knows ships with it."""
    return listed(wildcards.model).manifest if wildcards.model in OWN_MODELS else []


def manifest_option(wildcards):
    """Tells a command of an own network's table."""
    path = manifest_of(wildcards)
    return f"--manifest {shlex.quote(path)}" if path else ""


def layers_in(wildcards):
    """The layers of a network, in order of depth."""
    return SHIPPED[wildcards.model] or read_manifest(manifest_of(wildcards))


def layers_hash(wildcards):
    """Changes with the layers of a network."""
    own = wildcards.model in OWN_MODELS
    return hash_layers(layers_in(wildcards)) if own else SHIPPED_HASHES[wildcards.model]


def blocks_of(wildcards):
    """The blocks of layers that one job each scores."""
    return blocks(len(layers_in(wildcards)), STUDY.compute.layers_per_job)


# --- stimuli ------------------------------------------------------------------------------------------------------


def description_files(wildcards):
    """The recording, or the tables of scores, that name the images; those that are there."""
    return there_or_made(stimulus_files(STUDY, wildcards.stimuli)[0], wildcards.stimuli)


def there_or_made(files, stimuli):
    """Those files that are there, or all of them if the workflow exports them."""
    return [str(path) for path in files] if stimuli in EXPORTED else present(files)


def image_fingerprint(wildcards):
    """Changes with the images; for exported ones, the recording stands for them."""
    if wildcards.stimuli in EXPORTED:
        return ""
    folder = stimulus_files(STUDY, wildcards.stimuli)[1]
    return fingerprint(folder) if folder else ""


def stimulus_settings(wildcards):
    """The part of the config that decides which images a set has."""
    deciding = {"file", "scores", "splits", "images", "image_column", "unscored_images"}
    if STUDY.brain.pca and wildcards.stimuli == PCA_IMAGES:
        return STUDY.brain.pca.model_dump(mode="json", exclude={"components"})
    for entry in (*STUDY.recordings, *STUDY.ratings):
        if entry.name == wildcards.stimuli:
            settings = entry.model_dump(mode="json")
            # The splits of a recording divide its images, those of LaMem name them.
            chosen = deciding - {"splits"} if "file" in settings else deciding
            return {key: settings[key] for key in sorted(chosen & set(settings))}


def pixels_for(model, stimuli):
    """The cache of pixels that a network shares with all others of its geometry."""
    geometry = geometry_of(STUDY, stimuli, input_of(model))
    return f"{RESULTS}/stimuli/{stimuli}/{geometry.key}.h5"


def input_of(model):
    """What a network expects of its input."""
    expected = preprocessing_of(MODELS[model])
    if expected is None:
        expected = read_preprocessing(Path(listed(model).preprocessing))
    return expected


def pixels_of(wildcards):
    """The cache of pixels of a stimulus set."""
    return pixels_for(wildcards.model, wildcards.stimuli)


def pca_pixels_of(wildcards):
    """The cache of pixels of the images on which principal components are fitted, where a recording is reduced."""
    geometry = pca_geometry(STUDY, wildcards.stimuli, input_of(wildcards.model))
    return f"{RESULTS}/stimuli/{PCA_IMAGES}/{geometry.key}.h5" if geometry else []


def pca_option(wildcards):
    """Tells a command of them."""
    path = pca_pixels_of(wildcards)
    return f"--pca-pixels {shlex.quote(path)}" if path else ""


# --- networks -----------------------------------------------------------------------------------------------------


def model_settings(wildcards):
    """The part of the config that decides what a network computes."""
    return network_settings(MODELS[wildcards.model])


def weights_of(wildcards):
    """The local file of weights that the config names, if it is there."""
    path = MODELS[wildcards.model].weights_file()
    return present([path]) if path else []


def gate_of(wildcards):
    """The proof of a network's accuracy, where the config asks for it and something is published."""
    gated = STUDY.accuracy_gate and MODELS[wildcards.model].published is not None
    return f"{RESULTS}/models/{wildcards.model}/accuracy.json" if gated else []


def imagenet_settings(wildcards):
    """What decides a network's measured accuracy: ImageNet's images and labels."""
    chosen = STUDY.imagenet
    labels = (
        hash_file(chosen.labels) if chosen.labels and chosen.labels.is_file() else ""
    )
    return {"images": fingerprint(chosen.images), "labels": labels}


def keep_or_not(path):
    """Mark activations as temporary if the config says so."""
    return temp(path) if STUDY.storage.activations == "temporary" else path


# --- scores -------------------------------------------------------------------------------------------------------


def recording_of(wildcards):
    """The file of a region's recording, if it is there or the workflow exports it."""
    recording = REGIONS[wildcards.region].recording
    return there_or_made([STUDY.recording(recording).file], recording)


def region_activations(wildcards):
    """A network's activations to the stimuli of a region's recording."""
    return f"{RESULTS}/models/{wildcards.model}/activations/{REGIONS[wildcards.region].recording}.h5"


def region_settings(wildcards):
    """The part of the config that decides a region's scores."""
    entry = STUDY.recording(REGIONS[wildcards.region].recording)
    pca = STUDY.brain.pca
    return {
        **chosen_neuroids(wildcards),
        **({"pca": pca.components} if pca else {}),
        "splits": entry.splits.model_dump(),
        **STUDY.regression.model_dump(exclude={"halves"}),
    }


def chosen_neuroids(wildcards):
    """The part of the config that decides which neuroids a region has."""
    region = REGIONS[wildcards.region]
    entry = STUDY.recording(region.recording)
    reliability = entry.min_reliability
    chosen = {"label": region.label, "min_reliability": reliability}
    if entry.animals is not None:
        chosen["animals"] = entry.animals
    return (
        chosen if reliability is None else {**chosen, "halves": STUDY.regression.halves}
    )


def ceiling_settings(wildcards):
    """The part of the config that decides a region's ceilings."""
    return {**chosen_neuroids(wildcards), "halves": STUDY.regression.halves}


def score_files(wildcards):
    """The tables of scores of a set of ratings, those that are there."""
    return present(stimulus_files(STUDY, wildcards.ratings)[0])


def rating_settings(wildcards):
    """The part of the config that decides a network's accuracy."""
    entry = RATINGS[wildcards.ratings].model_dump(
        mode="json", exclude={"name", "images", "geometry"}
    )
    return {**entry, **STUDY.regression.model_dump(exclude={"halves"})}


def consistency_settings(wildcards):
    """The part of the config that decides the consistency of raters."""
    return RATINGS[wildcards.ratings].model_dump(include={"rater_columns", "measure"})


def streamed_settings(wildcards):
    """The part of the config that decides streamed scores."""
    convolutions = STUDY.memorability.convolutions
    return {**rating_settings(wildcards), "convolutions": convolutions}


def sketch_settings(wildcards):
    """The part of the config that decides scores from sketches."""
    chosen = STUDY.memorability.model_dump(include={"dimensions", "seed"})
    return {**streamed_settings(wildcards), **chosen}


def rated_in_way(way):
    """A wildcard that is the name of ratings that are predicted in this way."""
    return one_of(name for name in RATINGS if WAYS[name] == way)


def rated_pixels(wildcards):
    """The cache of pixels of rated images."""
    return pixels_for(wildcards.model, wildcards.ratings)


def brain_files(wildcards):
    """All scores of a network against all regions."""
    folder = f"{RESULTS}/models/{wildcards.model}/brain"
    return [
        f"{folder}/{region}/{block}.parquet"
        for region in REGIONS
        for block in blocks_of(wildcards)
    ]


def memorability_files(wildcards):
    """All scores of a network against all ratings."""
    folder = f"{RESULTS}/models/{wildcards.model}/memorability"
    return [
        f"{folder}/{ratings}/{block}.parquet"
        for ratings in RATINGS
        for block in rating_blocks(STUDY, ratings, layers_in(wildcards))
    ]


def final_files():
    """What a plain `snakemake` makes: the tables, and figure 2 where there is something to correlate."""
    tables = [f"{RESULTS}/layers.parquet", f"{RESULTS}/tables/models.parquet"]
    if not (REGIONS and RATINGS):
        return tables
    return [*tables, f"{RESULTS}/tables/correlations.parquet", *FIGURE2]


wildcard_constraints:
    model=one_of(MODELS),
    region=one_of(REGIONS),
    stimuli=one_of(STIMULI),
    ratings=one_of(RATINGS),
    geometry=r"(square|crop|squash|border)[a-z0-9.-]+",
    block=r"\d+(-\d+)?",
