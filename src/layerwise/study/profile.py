"""The profile of a cluster, filled in from what the cluster says of itself, where Snakemake finds it by its name."""

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from math import isfinite
from pathlib import Path

import layerwise
from layerwise.config.cluster import Cluster, GpuPartition, Partition, validate_cluster
from layerwise.files import atomic_path
from layerwise.files.documents import parse_yaml
from layerwise.study.slurm import Ask, Offer, ask_slurm, read_accounts, read_offers, require_sbatch, unlike

ANY = "any"
MAIN_FILE = re.compile(r"(profile|config)(\.v\d+\+)?\.yaml")  # as Snakemake names them
SHIPPED = "profiles/slurm/config.yaml"


def install_profile(
    folder: Path,
    name: str = "slurm",
    account: str | None = None,
    partition: str | None = None,
    gpu_partition: str | None = None,
    gpu_type: str | None = None,
    replace: bool = False,
    ask: Ask = ask_slurm,
) -> tuple[Path, Cluster]:
    """Write the shipped profile, its block filled in, to Snakemake's folder of profiles.

    Parameters
    ----------
    folder : Path
        Where Snakemake looks for profiles.
    name : str
        What is to be given to ``--profile``.
    account, partition, gpu_partition, gpu_type : str, optional
        Of the cluster; what is not given is asked from it, which must leave one choice. ``"any"`` type takes whichever
        GPU is free.
    replace : bool
        Whether a profile that is there may be replaced.
    ask : callable
        Runs a command of SLURM.

    Returns
    -------
    Path
        The file.
    Cluster
        What was filled in.

    Raises
    ------
    ValueError
        There is no SLURM here, it lacks what was named, or leaves several choices; or the profile is there already.
    """
    path = _free_path(folder, name, replace)
    require_sbatch(ask)
    cluster = choose(read_offers(ask), read_accounts(ask), account, partition, gpu_partition, gpu_type)
    text = fill_in(shipped_profile().read_text(encoding="utf-8"), cluster, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path, cluster


def shipped_profile() -> Traversable:
    """Find the profile that comes with layerwise: in the installed package, or in the checkout that it runs from."""
    packaged = files(layerwise) / SHIPPED
    return packaged if packaged.is_file() else Path(layerwise.__file__).parents[2] / SHIPPED


def choose(
    offers: Mapping[str, Offer],
    accounts: Sequence[str],
    account: str | None = None,
    partition: str | None = None,
    gpu_partition: str | None = None,
    gpu_type: str | None = None,
) -> Cluster:
    """Choose what of a cluster is used: what is given, else the only choice.

    Parameters
    ----------
    offers : mapping of str to Offer
        Partitions of the cluster.
    accounts : sequence of str
        Of this user; none where the cluster keeps none.
    account, partition, gpu_partition, gpu_type : str, optional
        What is given.

    Raises
    ------
    ValueError
        The cluster lacks what is given, or leaves several choices. All problems are named at once.
    """
    problems: list[str] = []
    with_gpus = sorted(name for name, offer in offers.items() if offer.gpus)
    charged = _one("--account", account, accounts, problems)
    cpu = _one("--partition", partition, sorted(offers), problems)
    gpu = _one("--gpu-partition", gpu_partition, with_gpus, problems)
    types = sorted(filter(None, offers[gpu].gpus)) if gpu and gpu in offers else []
    kind = None if gpu_type == ANY else _one("--gpu-type", gpu_type, types, problems, f"or {ANY}")
    if problems:
        raise ValueError("\n  ".join(["the profile cannot be filled in from what this cluster has:", *problems]))
    return Cluster(
        account=charged,
        cpu=Partition(partition=cpu, max_minutes=_limit(offers, cpu)),
        gpu=GpuPartition(partition=gpu, max_minutes=_limit(offers, gpu), type=kind),
    )


def fill_in(shipped: str, cluster: Cluster, name: str) -> str:
    """Put a cluster into the block at the top of the shipped profile.

    Raises
    ------
    ValueError
        The shipped profile has no such block.
    """
    text = shipped.replace("--profile profiles/slurm", f"--profile {name}")
    account = repr(cluster.account) if cluster.account else "null"
    for key, value in {"account": account, "cpu": _flow(cluster.cpu), "gpu": _flow(cluster.gpu)}.items():
        text = re.sub(rf"^(    {key}: )[^#\n]*?(  #.*)?$", rf"\g<1>{value}\2", text, count=1, flags=re.MULTILINE)
    content = parse_yaml(text)
    if not isinstance(content, dict) or validate_cluster(content.get("config", {}).get("cluster")) != cluster:
        raise ValueError("the shipped profile has no block `cluster` with account, cpu and gpu, a line each")
    return text


def _flow(place: Partition) -> str:
    """Write a partition in one line of YAML; texts in quotes, since a partition may be called 1 or on."""
    given = place.model_dump(exclude_defaults=True)
    cells = [f"{key}: {value!r}" if isinstance(value, str) else f"{key}: {value}" for key, value in given.items()]
    return f"{{{', '.join(cells or ['partition: null'])}}}"


def _one(option: str, given: str | None, there: Sequence[str], problems: list[str], others: str = "") -> str | None:
    """Return what is given if it is there, or the only one; else note why not."""
    if given is not None and given not in there:
        problems.append(unlike(option, given, there) if there else f"{option} is {given}; here there is none")
    elif given is None and len(there) > 1:
        problems.append(f"{option} must be given; here: {', '.join([*there, *filter(None, [others])])}")
    return given if given is not None else (there[0] if there else None)


def _limit(offers: Mapping[str, Offer], partition: str | None) -> int | None:
    minutes = offers[partition].minutes if partition else float("inf")
    return int(minutes) if isfinite(minutes) and minutes >= 1 else None


def _free_path(folder: Path, name: str, replace: bool) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise ValueError(f"--name is {name!r}: a profile is named by letters, digits, dots, hyphens and underscores")
    path = folder / name / "config.yaml"
    there = sorted(entry for entry in path.parent.glob("*.yaml") if MAIN_FILE.fullmatch(entry.name))
    strange = [entry for entry in there if entry != path]
    if strange:
        raise ValueError(f"{strange[0]} is another profile, which Snakemake may read instead: remove it, or use --name")
    if there and not replace:
        raise ValueError(f"{path} is there already: --replace replaces it, --name NAME leaves it as it is")
    return path
