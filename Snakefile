# The study of config.yaml, from images to tables and figures.
#
#   snakemake --profile profiles/slurm                                   everything, on a cluster
#   snakemake --profile profiles/local                                   everything, here
#   snakemake --profile profiles/local results/STUDY/models/MODEL/layers.parquet     one network
#   snakemake --profile profiles/local results/STUDY/models/MODEL/finetuned/1/weights.safetensors   one split
#   snakemake -n                                                         what would be done
#   snakemake --report report.zip                                        figures and tables that are there, as a page
#
# Rules know files and settings; each calls one command of `layerwise`, which also works by hand.
import sys

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.20")

try:
    from layerwise.files.documents import read_yaml
except ModuleNotFoundError as error:
    if error.name != "layerwise":
        raise
    raise WorkflowError(
        "layerwise is not installed where Snakemake is, and the rules plan with it: "
        f"{sys.executable} -m pip install PLACE, its checkout or repository, of the same version as this workflow"
    ) from None

# A study given with --configfile stands alone: nothing of the paper's is mixed into it.
if "study" not in config:
    try:  # beforehand, since Snakemake shows a traceback of a file that it cannot read
        read_yaml("config.yaml")
    except FileNotFoundError:
        raise WorkflowError(
            "no config.yaml in this folder: name the file of a study with --configfile FILE"
        ) from None
    except (ValueError, OSError) as error:
        raise WorkflowError(str(error)) from None

    configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/start.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/recordings.smk"
include: "workflow/rules/stimuli.smk"
include: "workflow/rules/activations.smk"
include: "workflow/rules/brain.smk"
include: "workflow/rules/memorability.smk"
include: "workflow/rules/finetuning.smk"
include: "workflow/rules/finetuned.smk"
include: "workflow/rules/gather.smk"
include: "workflow/rules/statistics.smk"
include: "workflow/rules/profiles.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/published.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/depth.smk"
include: "workflow/rules/training_figures.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        study.final_results(STUDY, LAYOUT),


# Jobs read the study as it was validated, every default filled in. It is no input of theirs, since any edit would make
# every result stale: each rule names the settings that it depends on. No command writes it: a study of a thousand
# networks is longer than an argument of a command may be.
onstart:
    start_run()


start_run_as_module()
