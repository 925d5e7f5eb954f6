"""What a run says of its cluster: the block at the top of `profiles/slurm/config.yaml`."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, ValidationError

from layerwise.config.base import Section
from layerwise.config.errors import describe_errors


def _unset(value: Any) -> Any:
    """Take an empty text, and what Snakemake makes of a null in a profile, for nothing."""
    return None if value in ("None", "null", "") else value


Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.,:&|*()\[\]-]+$")]
Maybe = Annotated[Word | None, BeforeValidator(_unset)]
Minutes = Annotated[int, Field(ge=1)]


class Partition(Section):
    """Where jobs of one kind run."""

    partition: Maybe = None
    """Name of the partition, as `sinfo` shows it."""
    max_minutes: Minutes | None = None
    """Longest job that the partition takes, in minutes; a retry asks for no more. Default: as `sinfo` says."""
    constraint: Maybe = None
    """Features that a node must have (`sbatch --constraint`)."""
    qos: Maybe = None
    """Quality of service (`sbatch --qos`)."""


class GpuPartition(Partition):
    """Where jobs that ask for a GPU run."""

    type: Maybe = None
    """Type of GPU to ask for, as `sinfo -o %G` shows it (a100, h100, v100); default: any."""
    ask: Literal["gpus", "gres"] = "gpus"
    """How the cluster wants to be asked: `--gpus=a100:1`, or `--gres=gpu:a100:1`, as older ones do."""


class Cluster(Section):
    """A SLURM cluster, for the jobs of a run."""

    account: Maybe = None
    """Account that is charged, as `sacctmgr show assoc` shows it."""
    cpu: Partition = Partition()
    """Where jobs without a GPU run."""
    gpu: GpuPartition = GpuPartition()
    """Where jobs with a GPU run (`compute: {gpus: 1}` in the study)."""


def validate_cluster(content: Any, source: str = "the cluster of the profile") -> Cluster | None:
    """Validate what a profile says of its cluster; None if it says nothing, as where jobs run on this machine.

    Raises
    ------
    ValueError
        It does not describe a cluster; the message names each problem.
    """
    if content is None:
        return None
    if not isinstance(content, dict):
        raise ValueError(f"{source} must hold the keys account, cpu and gpu, not {content!r}")
    try:
        return Cluster.model_validate(content)
    except ValidationError as error:
        raise ValueError(describe_errors(error, Cluster, source)) from error
