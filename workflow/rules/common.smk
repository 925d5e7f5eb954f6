# What the stage files share: the validated study, where things lie, and the functions behind their inputs.
import re
import shlex
import sys
from dataclasses import astuple
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from layerwise.config import dump_study, validate_study
from layerwise.config.study import PCA_IMAGES
from layerwise.files import (
    Contents,
    atomic_path,
    hash_object,
    hash_script,
    hash_source,
)
from layerwise.files.documents import read_yaml
from layerwise.layers.blocks import blocks
from layerwise.layers.manifest import read_manifest
from layerwise.study import (
    fingerprint,
    geometry_of,
    given_weights,
    imagenet_fingerprint,
    layers_of,
    layout_of,
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
    # Snakemake keeps the last value of a key that is given twice, and much else that is refused here.
    for path in workflow.configfiles:
        read_yaml(path)
    STUDY = validate_study(config)
    REGIONS = {region.name: region for region in regions(STUDY)}
except (ValueError, OSError) as error:
    raise WorkflowError(str(error)) from None

LAYOUT = layout_of(STUDY)  # its config is written when a run starts
ENVIRONMENT = "../../envs/layerwise.yaml"
MODELS = {entry.name: entry for entry in STUDY.models}
RATINGS = {entry.name: entry for entry in STUDY.ratings}
RATED = [name for name, entry in RATINGS.items() if entry.rater_columns]
WAYS = {name: way_of(STUDY, name) for name in RATINGS}
STIMULI = STUDY.stimulus_sets()
EXPORTED = {entry.name: entry for entry in STUDY.recordings if entry.brainscore}
SHIPPED = {name: layers_of(entry) for name, entry in MODELS.items()}
OWN_MODELS = [name for name, layers in SHIPPED.items() if layers is None]
CONTENTS = Contents(".snakemake/layerwise/contents.json")
FIGURE2 = LAYOUT.figure("figure2")

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
        "layerwise.models.labelled",
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
    "gather_model": ["layerwise.activations.store", "layerwise.analyses.gather"],
    "gather_study": ["layerwise.analyses.gather"],
    "correlate_layers": ["layerwise.statistics.correlation"],
    "summarise_models": ["layerwise.statistics.summary"],
    "plot_figure2": ["layerwise.figures.figure2", "layerwise.figures.style"],
}


def write_study():
    """Write the study as it was validated, every default filled in, beside its results."""
    try:
        with atomic_path(LAYOUT.config) as temporary:
            temporary.write_text(dump_study(STUDY), encoding="utf-8")
    except (OSError, ValueError) as error:
        raise WorkflowError(f"the study cannot be written: {error}") from None


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


# --- what users give ----------------------------------------------------------------------------------------------
# Of a user's files the content decides what is stale, and no date: they are `ancient`, and a hash of their content is
# among the parameters. It is taken when jobs are planned, so that an edit while a job runs makes its result stale.


@cache
def content_of(path):
    """Hash of the content of a user's file; empty if it is not there."""
    return CONTENTS.of([path])[0]


def given(files):
    """A user's file, whose date does not count.

    LaMem's split files are no inputs, since fifteen for each of 900 jobs take Snakemake a second to plan.
    """
    for path in files:
        content_of(path)
    return [ancient(path) for path in files] if len(files) == 1 else []


def described(files, stimuli):
    """The tables of a stimulus set: those that are there, or all of them if the workflow exports them.

    What the workflow exports is its own, so that its date counts as well: who depends on it waits for it.
    """
    return (
        [str(path) for path in files] if stimuli in EXPORTED else given(present(files))
    )


def contents_of(files, stimuli):
    """Hashes of the tables of a stimulus set; what the workflow exports may come while it runs, and change."""
    if stimuli in EXPORTED:
        return CONTENTS.of(files)
    return [content_of(path) for path in present(files)]


# --- stimuli ------------------------------------------------------------------------------------------------------


@cache
def tables_of(stimuli):
    """The recording, or the tables of scores, that name the images."""
    return stimulus_files(STUDY, stimuli)[0]


def description_files(wildcards):
    """Those of them that are there or made."""
    image_fingerprint(wildcards)
    return described(tables_of(wildcards.stimuli), wildcards.stimuli)


def description_contents(wildcards):
    """Changes with them."""
    return contents_of(tables_of(wildcards.stimuli), wildcards.stimuli)


def image_fingerprint(wildcards):
    """Changes with the images."""
    return images_of(wildcards.stimuli, tuple(description_contents(wildcards)))


@cache
def images_of(stimuli, descriptions):
    """Hash of the images that the tables of these contents name."""
    return fingerprint(STUDY, stimuli, CONTENTS)


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
    return LAYOUT.pixels(stimuli, geometry.key)


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
    return LAYOUT.pixels(PCA_IMAGES, geometry.key) if geometry else []


def pca_option(wildcards):
    """Tells a command of them."""
    path = pca_pixels_of(wildcards)
    return f"--pca-pixels {shlex.quote(path)}" if path else ""


# --- networks -----------------------------------------------------------------------------------------------------


def model_settings(wildcards):
    """The part of the config that decides what a network computes."""
    return network_settings(STUDY, MODELS[wildcards.model], CONTENTS.of)


def weights_of(wildcards):
    """The local file of weights that the config names, if it is there."""
    path = MODELS[wildcards.model].weights_file()
    return given(present([path])) if path else []


def weights_content(wildcards):
    """Changes with the file of weights that the config names, or that lies in the folder of weights for timm.

    Official weights are none of these: they may be downloaded meanwhile, and count by their published checksum.
    """
    path = given_weights(MODELS[wildcards.model], STUDY.storage.weights)
    return content_of(path) if path else ""


def gate_of(wildcards):
    """The proof of a network's accuracy, where the config asks for it and something is published."""
    gated = STUDY.accuracy_gate and MODELS[wildcards.model].published is not None
    return LAYOUT.accuracy(wildcards.model) if gated else []


@cache
def imagenet_content():
    """Hashes of ImageNet's images and labels."""
    return imagenet_fingerprint(STUDY, CONTENTS)


def imagenet_settings(wildcards):
    """What decides a network's measured accuracy: ImageNet's images and labels."""
    return imagenet_content()


def keep_or_not(path):
    """Mark activations as temporary if the config says so."""
    return temp(path) if STUDY.storage.activations == "temporary" else path


# --- scores -------------------------------------------------------------------------------------------------------


def recording_of(wildcards):
    """The file of a region's recording, if it is there or the workflow exports it."""
    recording = REGIONS[wildcards.region].recording
    return described([STUDY.recording(recording).file], recording)


def recording_content(wildcards):
    """Changes with it."""
    recording = REGIONS[wildcards.region].recording
    return contents_of([STUDY.recording(recording).file], recording)


def region_activations(wildcards):
    """A network's activations to the stimuli of a region's recording."""
    return LAYOUT.activations(wildcards.model, REGIONS[wildcards.region].recording)


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
    return described(tables_of(wildcards.ratings), wildcards.ratings)


def score_contents(wildcards):
    """Changes with them."""
    return contents_of(tables_of(wildcards.ratings), wildcards.ratings)


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
    return [
        LAYOUT.brain(wildcards.model, region, block)
        for region in REGIONS
        for block in blocks_of(wildcards)
    ]


def memorability_files(wildcards):
    """All scores of a network against all ratings."""
    return [
        LAYOUT.memorability(wildcards.model, ratings, block)
        for ratings in RATINGS
        for block in rating_blocks(STUDY, ratings, layers_in(wildcards))
    ]


def final_files():
    """What a plain `snakemake` makes: the tables, and figure 2 where there is something to correlate."""
    tables = [LAYOUT.layers, LAYOUT.table("models")]
    if not (REGIONS and RATINGS):
        return tables
    return [*tables, LAYOUT.table("correlations"), *FIGURE2]


wildcard_constraints:
    model=one_of(MODELS),
    region=one_of(REGIONS),
    stimuli=one_of(STIMULI),
    ratings=one_of(RATINGS),
    geometry=r"(square|crop|squash|border)[a-z0-9.-]+",
    block=r"\d+(-\d+)?",
