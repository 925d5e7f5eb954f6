# What the stage files share: the validated study, where things lie, and the functions behind inputs and parameters.
# All of it is decided in layerwise.study; this turns it into what Snakemake asks for.
import logging
import re
import shlex
import signal
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from layerwise import study
from layerwise.config import strays_of, validate_cluster, validate_study
from layerwise.files import (
    Contents,
    explain_denial,
    hash_script,
    require_writable,
    writable,
)
from layerwise.files.documents import read_yaml

# Jobs find `layerwise` beside this Snakemake's Python, also where the environment is not activated; last, so that a
# conda environment goes before it. SLURM may send SIGUSR2 to all processes of a job before the end, of which only the
# step knows what to do.
if workflow.remote_exec:
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
IN_PATH = f'PATH="$PATH:{Path(sys.executable).parent}"; '
shell.prefix(IN_PATH)

# On a full disk there would be a traceback for each line of Snakemake's log, between which no sentence is seen.
logging.raiseExceptions = False


def said_by_files():
    """What each file of the config says, with its folder, from which its paths count; the last goes before others.

    Paths that another workflow gives this one as its module count from the working folder.
    """
    # Snakemake keeps the last value of a key that is given twice, and much else that is refused here.
    said = [(read_yaml(path), Path(path).parent) for path in workflow.configfiles]
    if not workflow.modifier.is_main_snakefile():
        return []
    # Files of --configfile are listed first, and merged into what the Snakefile names; then comes --config.
    given = len(workflow.overwrite_configfiles)
    return [*said[given:], *said[:given], (workflow.config_settings.config, Path())]


try:
    study.require_room()
    require_writable(".snakemake/locks")
    SAID = said_by_files()
    CLUSTER = validate_cluster(config.pop("cluster", None))  # of a profile
    STUDY = validate_study(config, said=SAID)
    STRAYS = strays_of(config, SAID)
    if not workflow.remote_exec:  # a job of a cluster was planned by one that looked
        study.require_sound(STUDY)
    contents = Contents(".snakemake/layerwise/contents.json")
    study.require_weights(STUDY, contents)
    CAUSES = study.Causes(STUDY, contents, lambda model: listed(model).manifest)
    REGIONS = CAUSES.regions
    LAYOUT = study.layout_of(STUDY)
    MODELS = study.networks_of(STUDY)
    FINETUNING_JOBS = study.finetuning_groups(STUDY)  # splits that share a job
    writable(LAYOUT.config)  # Snakemake tells of what is no folder in a traceback
except (ValueError, OSError) as error:
    raise WorkflowError(explain_denial(error)) from None

# A job of a cluster runs one step alone, which may have the whole job started again, and does not repeat a mistake of an
# earlier attempt. Snakemake knows the attempt only after this was read; its job step is started with it.
if workflow.remote_exec:
    shell.prefix(f"{study.tell_attempt(sys.argv, LAYOUT.mistakes)}{IN_PATH}")

ENVIRONMENT = "../../envs/layerwise.yaml"
OWN_MODELS = [name for name in MODELS if CAUSES.is_own(name)]
KEPT = temp if STUDY.storage.activations == "temporary" else str  # files of activations
RESOURCES = study.RuleResources(study.Plans(STUDY))
REQUESTS = study.ClusterRequests(CLUSTER, RESOURCES)


def made_from(step, **names):
    """All that decides what a step gives, for Snakemake to compare: code, settings, layers, content of files."""
    return study.signed(
        lambda wildcards: CAUSES.of(step, {**names, **dict(wildcards.items())})
    )


def resources_of(step):
    """What each job of a rule asks for; more with each attempt."""
    return REQUESTS.of_rule(step)


def option(name, find):
    """An option of a command, where there is a file for it."""
    return lambda wildcards: shlex.join(
        [name, path] if (path := find(wildcards)) else []
    )


def reported(path, name, category, **labels):
    """A file that is shown in Snakemake's report, with its caption."""
    shown = {"caption": f"../report/{name}.rst", "category": category, "labels": labels}
    return report(path, **shown)


def reported_figure(name):
    """A figure in all its formats."""
    return [
        reported(path, name, "Figures", figure=name, format=Path(path).suffix[1:])
        for path in LAYOUT.figure(name)
    ]


def reported_table(name):
    """A table for people."""
    return reported(LAYOUT.table(name, "csv"), name, "Tables", table=name)


def outputs_of(figure):
    """Options that name the files of a figure."""
    return shlex.join(f"--output={path}" for path in LAYOUT.figure(figure))


def columns_of(study_of_user):
    """Options that name the scores of layers which figures show."""
    measures = (f"--measure={entry.measure}" for entry in study_of_user.ratings)
    regions = (f"--region={name}" for name in study.main_columns(study_of_user))
    return shlex.join([*regions, *measures])


def one_of(names):
    """A wildcard that is one of these names, or nothing at all if there are none."""
    return "|".join(map(re.escape, sorted(names))) or "(?!)"


wildcard_constraints:
    model=one_of(MODELS),
    region=one_of(REGIONS),
    stimuli=one_of(STUDY.stimulus_sets()),
    ratings=one_of(entry.name for entry in STUDY.ratings),
    geometry=r"(square|crop|squash|border)[a-z0-9.-]+",
    block=r"\d+(-\d+)?",
