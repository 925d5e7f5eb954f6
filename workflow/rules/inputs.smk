# The functions behind inputs: files of a user, which count by their content, and results that depend on a wildcard.
# What is decided here is decided in layerwise.study.
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


def tables_of_images(wildcards):
    """The tables that name the images of a stimulus set; these are read now, too."""
    CAUSES.of("pack_stimuli", dict(wildcards.items()))
    return tables_of(wildcards.stimuli)


def weights_of(wildcards):
    """The local file of weights that the config names; those of a fine-tuned network are a result."""
    trained, given = study.weights_files(MODELS[wildcards.model], LAYOUT)
    return trained or user_files(given)


def listed(model):
    """The outputs of list_layers for an own network; the workflow waits for them."""
    return checkpoints.list_layers.get(model=model).output


def manifest_of(wildcards):
    """The table of an own network's layers; that of a network that layerwise knows ships with it."""
    return listed(wildcards.model).manifest if wildcards.model in OWN_MODELS else []


def pixels_of(find, stimuli=None):
    """The pixels that a network sees; what an own one expects is known once its layers are listed."""

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


def of_recordings(find):
    """The pixels of each recording that a network sees, in the order of the config."""
    found = [pixels_of(find, entry.name) for entry in STUDY.recordings]
    return lambda wildcards: [path for one in found if (path := one(wildcards))]


def gate_of(wildcards):
    """The proof of a network's accuracy, where the config asks for it and something is published."""
    gated = STUDY.accuracy_gate and MODELS[wildcards.model].published is not None
    return LAYOUT.accuracy(wildcards.model) if gated else []


def scores_of(find):
    """All scores of a network against regions, or against ratings."""
    return lambda wildcards: find(
        RESOURCES.plans, LAYOUT, wildcards.model, CAUSES.layers(wildcards.model)
    )
