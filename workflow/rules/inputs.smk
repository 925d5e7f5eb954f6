# The functions behind inputs: files of a user, which count by their content, and results that depend on a wildcard.
# What is decided here is decided in layerwise.study. Snakemake asks each for each of thousands of jobs: so they are
# `signed`, and left out where they never have an answer.
from pathlib import Path


def user_files(files):
    """Files of a user that are there: no date of theirs counts, but their content, which is read now.

    LaMem's split files are no inputs, since fifteen for each of 900 jobs take Snakemake a second to plan.
    """
    there = study.present(files)
    for path in there:
        CAUSES.content(path)
    return [ancient(path) for path in there] if len(there) == 1 else []


def tables_of(stimuli):
    """The tables of a stimulus set; of those that the workflow exports itself, the dates count as well."""
    files = CAUSES.tables(stimuli)
    return list(map(str, files)) if stimuli in CAUSES.exported else user_files(files)


@study.signed
def tables_of_images(wildcards):
    """The tables that name the images of a stimulus set; these are read now, too."""
    CAUSES.of("pack_stimuli", dict(wildcards.items()))
    return tables_of(wildcards.stimuli)


@study.signed
def ratings_of(wildcards):
    """The tables of the ratings that a job is about."""
    return tables_of(wildcards.ratings)


@study.signed
def recording_of(wildcards):
    """The recording of the region that a job is about."""
    return tables_of(REGIONS[wildcards.region].recording)


@study.signed
def weights_of(wildcards):
    """The local file of weights that the config names; those of a fine-tuned network are a result."""
    trained, given = study.weights_files(MODELS[wildcards.model], LAYOUT)
    return trained or user_files(given)


def listed(model):
    """The outputs of list_layers for an own network; the workflow waits for them."""
    return checkpoints.list_layers.get(model=model).output


@study.signed
def manifest_of(wildcards):
    """The table of an own network's layers; that of a network that layerwise knows ships with it."""
    return listed(wildcards.model).manifest if wildcards.model in OWN_MODELS else []


MANIFEST = manifest_of if OWN_MODELS else []


def pixels_of(find, stimuli=None):
    """The pixels that a network sees; what an own one expects is known once its layers are listed."""

    @study.signed
    def path(wildcards):
        model = wildcards.model
        expected = study.preprocessing_of(MODELS[model])
        if expected is None:
            expected = study.read_preprocessing(Path(listed(model).preprocessing))
        name = (
            stimuli or wildcards.get("stimuli") or wildcards.get("ratings", TRAINED_ON)
        )
        return find(STUDY, LAYOUT, name, expected) or []

    return path


@study.signed
def activations_of(wildcards):
    """What is kept of a network for the recording of a region."""
    recording = REGIONS[wildcards.region].recording
    return study.activations_for(STUDY, LAYOUT, wildcards.model, recording)


def of_recordings(find):
    """The pixels of each recording that a network sees, in the order of the config."""
    found = [pixels_of(find, entry.name) for entry in STUDY.recordings]
    return study.signed(
        lambda wildcards: [path for one in found if (path := one(wildcards))]
    )


@study.signed
def gate_of(wildcards):
    """The proof of a network's accuracy, where something is published."""
    gated = MODELS[wildcards.model].published is not None
    return LAYOUT.accuracy(wildcards.model) if gated else []


GATE = gate_of if STUDY.accuracy_gate else []
PCA_PIXELS = pixels_of(study.pca_pixels_for) if STUDY.brain.pca else []


def scores_of(find):
    """All scores of a network against regions, or against ratings."""
    return lambda wildcards: find(
        RESOURCES.plans, LAYOUT, wildcards.model, CAUSES.layers(wildcards.model)
    )
