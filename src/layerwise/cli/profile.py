"""The command ``layerwise profile install``: the profile of this cluster, for Snakemake to find by its name."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from layerwise.config.cluster import Cluster, Partition

profile = typer.Typer(help="The profile of a SLURM cluster.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(profile, name="profile", rich_help_panel="On a cluster")


@profile.callback()
def _callback() -> None:
    """Keep `install` a command of its own, though it is the only one."""


@profile.command()
def install(
    account: Annotated[str | None, typer.Option("--account", help="Account that is charged.")] = None,
    partition: Annotated[str | None, typer.Option("--partition", help="Where jobs without a GPU run.")] = None,
    gpu_partition: Annotated[str | None, typer.Option("--gpu-partition", help="Where jobs with a GPU run.")] = None,
    gpu_type: Annotated[str | None, typer.Option("--gpu-type", help="Such as a100; or any.")] = None,
    name: Annotated[str, typer.Option("--name", help="Name of the profile.")] = "slurm",
    replace: Annotated[bool, typer.Option("--replace", help="Replace a profile of this name.")] = False,
) -> None:
    """Fill in the profile of this cluster, so that `snakemake --profile slurm` works from any folder.

    What is not given is asked from the cluster; where that leaves several choices, they are listed.
    """
    from snakemake.common import get_appdirs

    from layerwise.study.profile import install_profile

    folder = Path(get_appdirs().user_config_dir)
    path, cluster = install_profile(folder, name, account, partition, gpu_partition, gpu_type, replace)
    typer.echo(f"{path} is written: account {cluster.account or 'none'}")
    for line in _places(cluster):
        typer.echo(line)
    typer.echo(f"look first with `layerwise plan` and `snakemake --profile {name} --dry-run --quiet rules`")


def _places(cluster: "Cluster") -> list[str]:
    gpu = cluster.gpu
    kind = f", {gpu.type}" if gpu.type else ""
    with_gpu = f"{_place(gpu)}{kind}" if gpu.partition else "none: no partition here has one"
    return [f"jobs without a GPU: {_place(cluster.cpu)}", f"jobs with a GPU:    {with_gpu}"]


def _place(place: "Partition") -> str:
    limit = f", at most {place.max_minutes} minutes" if place.max_minutes else ""
    return f"{place.partition}{limit}"
