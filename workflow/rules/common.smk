# What the stage files share: the validated study, where things lie, and the functions behind inputs and parameters.
# All of it is decided in layerwise.study; this turns it into what Snakemake asks for.
import logging
import re
import shlex
import signal
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

from layerwise import files, study
from layerwise.config import still_said, strays_of, validate_cluster, validate_study
from layerwise.files.documents import read_yaml

# Jobs find `layerwise` beside this Snakemake's Python, also where the environment is not activated; last, so that a
# command of the user's goes before it. In an environment that conda makes they find the same code by a path (below).
# SLURM may send SIGUSR2 to all processes of a job before the end, of which only the step knows what to do.
if workflow.remote_exec:
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
IN_PATH = f'PATH="$PATH:{Path(sys.executable).parent}"; '
shell.prefix(IN_PATH)

# On a full disk there would be a traceback for each line of Snakemake's log, between which no sentence is seen.
logging.raiseExceptions = False


def said_by_files():
    """What each file of the config says, with its folder, from which its paths count; the last goes before others.

    What another workflow gives this one as its module, and its files do not say so, counts from the working folder.
    """
    # Snakemake keeps the last value of a key that is given twice, and much else that is refused here.
    said = [(read_yaml(path), Path(path).parent) for path in workflow.configfiles]
    # Files of --configfile are listed first, and merged into what the Snakefile names; then comes --config.
    given = len(workflow.overwrite_configfiles)
    said = [*said[given:], *said[:given], (workflow.config_settings.config, Path())]
    return said if workflow.modifier.is_main_snakefile() else still_said(config, said)


try:
    study.require_room()
    files.require_writable(".snakemake/locks")
    LOCK = study.lock_of_jobs()
    if DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method:
        IN_PATH = study.share_code()
        shell.prefix(IN_PATH)
        study.keep_lock(LOCK, workflow.source_path(f"../../envs/{LOCK}.lock"))
    SAID = said_by_files()
    CLUSTER = validate_cluster(config.pop("cluster", None))  # of a profile
    STUDY = validate_study(config, said=SAID)
    STRAYS = strays_of(config, SAID)
    if not workflow.remote_exec:  # a job of a cluster was planned by one that looked
        study.require_sound(STUDY)
    contents = files.Contents(".snakemake/layerwise/contents.json")
    study.require_weights(STUDY, contents)
    code = files.CodeHashes(".snakemake/layerwise/code.json", contents)
    CAUSES = study.Causes(
        STUDY, contents, lambda model: listed(model).manifest, code.of
    )
    REGIONS = CAUSES.regions
    LAYOUT = study.layout_of(STUDY)
    MODELS = study.networks_of(STUDY)
    FINETUNING_JOBS = study.finetuning_groups(STUDY)  # splits that share a job
    files.writable(LAYOUT.config)  # Snakemake tells of what is no folder in a traceback
except (ValueError, OSError) as error:
    raise WorkflowError(files.explain_denial(error)) from None

# A job of a cluster runs one step alone, which may have the whole job started again, and does not repeat a mistake of an
# earlier attempt. Snakemake knows the attempt only after this was read; its job step is started with it.
if workflow.remote_exec:
    shell.prefix(f"{study.tell_attempt(sys.argv, LAYOUT.mistakes)}{IN_PATH}")

ENVIRONMENT = f"../../envs/{LOCK}.yaml"
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
    if not find:
        return ""
    return study.signed(
        lambda wildcards: shlex.join([name, path] if (path := find(wildcards)) else [])
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
