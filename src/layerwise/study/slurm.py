"""What jobs ask of a SLURM cluster, and whether the cluster has it, before a job is submitted."""

import difflib
import logging
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from getpass import getuser
from inspect import signature
from pathlib import Path
from typing import TypeVar

from layerwise.config.cluster import Cluster, GpuPartition, Partition
from layerwise.interfaces import counted
from layerwise.study.resources import Needs, RuleResources

Ask = Callable[[Sequence[str]], str]  # runs a command of SLURM, and returns what it printed; nothing if it failed
Request = int | str

log = logging.getLogger(__name__)

ANSWERS_WITHIN = 60  # seconds; a controller that is busy takes some
OWN_DISKS = ("btrfs", "ext2/ext3", "overlayfs", "tmpfs", "xfs", "zfs")  # as `stat` calls them
NO_BLOCK = (
    "there is no such block: the profile is of another workflow or of Snakemake 8 (config.v8+.yaml is read before "
    "config.yaml); `layerwise profile install` writes one that has it"
)


@dataclass(frozen=True)
class Offer:
    """What a cluster has in one partition.

    Parameters
    ----------
    minutes : float
        Longest job; infinite where there is no limit.
    gpus : frozenset of str
        Types of its GPUs, and ``""`` where they have no type; empty without GPUs.
    default : bool
        Whether jobs that name no partition come here.
    """

    minutes: float
    gpus: frozenset[str]
    default: bool = False


Function = TypeVar("Function", bound=Callable[..., object])


def signed(function: Function) -> Function:
    """Keep the names of a function's arguments with it: Snakemake finds them out anew for each of thousands of jobs."""
    function.__signature__ = signature(function)  # type: ignore[attr-defined]
    return function


class ClusterRequests:
    """What each job asks of a cluster beside memory and time.

    Parameters
    ----------
    cluster : Cluster, optional
        What the profile says; None where jobs run on this machine.
    resources : RuleResources
        What the rules of the study ask for.
    """

    def __init__(self, cluster: Cluster | None, resources: RuleResources) -> None:
        self.cluster, self._resources = cluster, resources
        self._longest: dict[str, Needs] = {}

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of what is asked for, as Snakemake and its SLURM plugin call them."""
        return (*self._resources.quantities, *(_optional(self.cluster) if self.cluster else ()))

    def ask(self, quantity: str, rule: str, names: Mapping[str, str], attempt: int) -> Request:
        """Return what a job of a rule asks for, at its n-th attempt.

        Parameters
        ----------
        quantity : str
            One of `quantities`.
        rule : str
            Name of the rule.
        names : mapping of str to str
            Snakemake's wildcards.
        attempt : int
            From 1.
        """
        return self._request(quantity, self._resources.of(rule, names), attempt)

    def of_rule(self, rule: str) -> dict[str, Callable[..., Request]]:
        """Return, for each quantity, the function that Snakemake asks: of the wildcards and the attempt."""

        def function_of(quantity: str) -> Callable[..., Request]:
            return signed(lambda wildcards, attempt: self.ask(quantity, rule, dict(wildcards.items()), attempt))

        return {quantity: function_of(quantity) for quantity in self.quantities}

    def expect(self, rule: str, names: Mapping[str, str]) -> None:
        """Take note of a job that is to be submitted; Snakemake itself asks only when it is its turn.

        Parameters
        ----------
        rule : str
            Name of the rule, before which a workflow of which this is a module may put a prefix; splits may follow.
        names : mapping of str to str
            Snakemake's wildcards.
        """
        plain = re.sub(r"(_\d+)+$", "", rule)  # the splits that share a job of fine-tuning
        own = max((own for own in self._resources.rules if f"_{plain}".endswith(f"_{own}")), key=len, default=None)
        if own is None:
            return
        needs, longest = self._resources.of(own, names), self._longest.get(own)
        if longest is None or longest.ask("runtime") < needs.ask("runtime"):
            self._longest[own] = needs

    def longest(self) -> Mapping[str, Needs]:
        """Return of each rule the job that asks for the most time, of those that are expected."""
        return self._longest

    @property
    def on_gpus(self) -> bool:
        """Whether jobs are expected that ask for a GPU; those behind a list of layers are not known one by one."""
        behind = "list_layers" in self._longest and self._resources.plans.budget.gpus > 0
        return behind or any(needs.gpus for needs in self._longest.values())

    @property
    def partitions(self) -> list[str]:
        """The partitions in which jobs are expected."""
        cluster = self.cluster or Cluster()
        places = [cluster.cpu.partition, cluster.gpu.partition if self.on_gpus else None]
        return sorted(set(filter(None, places)))

    def _request(self, quantity: str, needs: Needs, attempt: int) -> Request:
        if self.cluster is None or quantity in ("mem_mb", "disk_mb"):
            return needs.ask(quantity, attempt)  # type: ignore[arg-type]
        place: Partition = self.cluster.gpu if needs.gpus else self.cluster.cpu
        if quantity == "runtime":
            return _within(needs, place, attempt)
        gpu = self.cluster.gpu
        by_gres = gpu.ask == "gres"
        values: dict[str, Request | None] = {
            "gpu": 0 if by_gres else needs.gpus,
            "gpu_model": gpu.type if needs.gpus and not by_gres else None,
            "gres": _gres(gpu, needs.gpus) if by_gres and needs.gpus else None,
            "nodes": 1,  # or SLURM may take the GPUs of one job from two nodes
            "slurm_account": self.cluster.account,
            "slurm_partition": place.partition,
            "slurm_extra": _extra(place),
        }
        return values[quantity] or (0 if quantity == "gpu" else "")


def _within(needs: Needs, place: Partition, attempt: int) -> int:
    """Return the minutes to ask for: more with each attempt, up to the longest that the partition takes."""
    first, now = needs.ask("runtime"), needs.ask("runtime", attempt)
    return now if place.max_minutes is None else max(first, min(now, place.max_minutes))


def _optional(cluster: Cluster) -> tuple[str, ...]:
    return "gpu_model", "gres", "nodes", "slurm_account", "slurm_partition", "slurm_extra"


def _gres(gpu: GpuPartition, count: int) -> str:
    return ":".join(("gpu", *([gpu.type] if gpu.type else []), str(count)))


def _extra(place: Partition) -> str:
    """Return options of sbatch for which an empty resource would not mean "none"."""
    options = {"--constraint": place.constraint, "--qos": place.qos}
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in options.items() if value)


# --- what the cluster has ---------------------------------------------------------------------------------------------


def run_slurm(command: Sequence[str], **environment: str) -> str | None:
    """Run a command of SLURM: what it printed; None if it failed or there is no such command."""
    try:
        done = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, timeout=ANSWERS_WITHIN, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def ask_slurm(command: Sequence[str]) -> str:
    """Run a command of SLURM: what it printed, or nothing if it failed or there is no such command."""
    return run_slurm(command) or ""


def require_sbatch(ask: Ask, otherwise: str = "") -> None:
    """Refuse a machine without SLURM's commands, where these are what is asked.

    Raises
    ------
    ValueError
        There is no sbatch; the message ends with what else may be done.
    """
    if ask is ask_slurm and shutil.which("sbatch") is None:
        raise ValueError(f"there is no sbatch here: run this on a login node of the cluster{otherwise}")


def read_offers(ask: Ask = ask_slurm) -> dict[str, Offer]:
    """Return what each partition of the cluster has, from `sinfo`.

    Raises
    ------
    ValueError
        It tells of none.
    """
    offers: dict[str, Offer] = {}
    for line in ask(["sinfo", "--noheader", "--format=%R|%P|%l|%G"]).splitlines():
        name, marked, limit, gres = line.strip().split("|", 3)
        gpus = _gpu_types(gres) | (offers[name].gpus if name in offers else frozenset())
        offers[name] = Offer(_minutes(limit), gpus, marked.endswith("*"))
    if not offers:
        raise ValueError("sinfo tells of no partition: SLURM does not answer here; try `sinfo`, and again later")
    return offers


def read_accounts(ask: Ask = ask_slurm) -> list[str]:
    """Return the accounts of this user, from `sacctmgr`; none where the cluster keeps no accounts."""
    command = ["sacctmgr", "--noheader", "--parsable2", "show", "assoc", f"user={getuser()}", "format=account"]
    return sorted(set(filter(None, map(str.strip, ask(command).splitlines()))))


def _gpu_types(gres: str) -> frozenset[str]:
    """Return the types of GPUs in what `sinfo` shows, such as ``gpu:a100:4(S:0-1),gpu:2``."""
    found = (re.match(r"gpu(?::([A-Za-z][\w.-]*))?(?::\d+)?(?:\(|$)", part) for part in gres.split(","))
    return frozenset(match.group(1) or "" for match in found if match)


def _minutes(limit: str) -> float:
    """Return the minutes of a limit of `sinfo`: ``1-00:00:00``, ``30:00``, ``infinite``."""
    days, _, clock = limit.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in parts):
        return float("inf")
    numbers = [int(part) for part in parts]
    hours, minutes, seconds = [0] * (3 - len(numbers)) + numbers
    return int(days or 0) * 1440 + hours * 60 + minutes + seconds / 60


# --- whether they agree -----------------------------------------------------------------------------------------------


def require_cluster(requests: ClusterRequests, ask: Ask = ask_slurm, warn: Callable[[str], None] = log.warning) -> None:
    """Refuse a run that the cluster would refuse job by job, or keep waiting for ever; warn of jobs of a killed one.

    Parameters
    ----------
    requests : ClusterRequests
        Of the run, its jobs expected.
    ask, warn : callable
        Runs a command of SLURM; tells the user.

    Raises
    ------
    ValueError
        There is no SLURM here; or an account, a partition, a type of GPU or a time that the cluster does not have. The
        message names those that it has.
    """
    require_sbatch(ask, ", or with profiles/local")
    cluster, offers, accounts = requests.cluster or Cluster(), read_offers(ask), read_accounts(ask)
    problems = [
        *([] if requests.cluster else [NO_BLOCK]),
        *_account_problems(cluster, accounts),
        *_time_problems(requests, offers),
        *_partition_problems("cpu", cluster.cpu, offers, sorted(offers)),
        *_gpu_problems(requests, offers),
    ]
    if problems:
        raise ValueError("\n  ".join(["the block `cluster` of the profile does not fit this cluster:", *problems]))
    for hint in filter(None, [own_disk(Path.cwd(), ask), earlier_runs(Path.cwd(), ask=ask)]):
        warn(hint)


def own_disk(folder: Path, ask: Ask = ask_slurm) -> str:
    """Return a warning of a folder that nodes may not see, as it is on no network's disk; else nothing."""
    kind = ask(["stat", "--file-system", "--format=%T", str(folder)]).strip()
    if kind not in OWN_DISKS:
        return ""
    return (
        f"{folder} is on a disk of this machine ({kind}): where nodes do not see it under the same path, jobs fail at "
        "once and leave no log"
    )


def earlier_runs(folder: Path, prefix: str = "layerwise_", ask: Ask = ask_slurm) -> str:
    """Return a warning of jobs that a killed Snakemake may have left in this folder, and a new run would start again.

    Parameters
    ----------
    folder : Path
        Where Snakemake runs.
    prefix : str
        How names of runs begin (`slurm-jobname-prefix`).
    ask : callable
        Runs a command of SLURM.

    Returns
    -------
    str
        Empty if there are none.
    """
    lines = ask(["squeue", "--noheader", f"--user={getuser()}", "--format=%j|%Z"]).splitlines()
    jobs = [line.partition("|")[::2] for line in lines]
    here = [name for name, where in jobs if name.startswith(prefix) and where == str(folder)]
    names = sorted(set(here))
    if not names:
        return ""
    return (
        f"{counted(len(here), 'job')} of another run in this folder with SLURM. If its Snakemake was killed, this run "
        f"starts the same a second time: stop it, and cancel those first with `scancel --name={','.join(names)}`"
    )


def _account_problems(cluster: Cluster, accounts: Sequence[str]) -> Iterable[str]:
    if accounts and cluster.account not in accounts:
        yield unlike("account", cluster.account, accounts)


def _partition_problems(
    kind: str, place: Partition, offers: Mapping[str, Offer], allowed: Sequence[str]
) -> Iterable[str]:
    if place.partition in offers and place.partition not in allowed:
        yield f"{kind}: partition is {place.partition}, which has no GPU; here: {', '.join(allowed)}"
    elif place.partition not in allowed:
        yield unlike(f"{kind}: partition", place.partition, allowed)


def _gpu_problems(requests: ClusterRequests, offers: Mapping[str, Offer]) -> Iterable[str]:
    if not requests.on_gpus:
        return
    place = (requests.cluster or Cluster()).gpu
    with_gpus = sorted(name for name, offer in offers.items() if offer.gpus)
    if not with_gpus:
        yield "compute: gpus in the study asks for GPUs, and no partition of this cluster has any: set it to 0"
        return
    yield from _partition_problems("gpu", place, offers, with_gpus)
    types = sorted(filter(None, _offer(place, offers).gpus))
    if place.type is not None and types and place.type not in types:
        yield unlike(f"gpu: type in {place.partition}", place.type, types)


def _time_problems(requests: ClusterRequests, offers: Mapping[str, Offer]) -> Iterable[str]:
    """Tell of the longest job of each rule that no partition would start: SLURM keeps it waiting without a word."""
    cluster = requests.cluster or Cluster()
    for rule, needs in sorted(requests.longest().items()):
        place: Partition = cluster.gpu if needs.gpus else cluster.cpu
        limit = min(_offer(place, offers).minutes, place.max_minutes or float("inf"))
        minutes = needs.ask("runtime")
        if minutes > limit:
            yield (
                f"a job of {rule} asks for {minutes} minutes, and {place.partition} takes {limit:.0f} at most: choose "
                "another partition, give jobs more threads or a GPU, or make them smaller (compute in the study)"
            )


def _offer(place: Partition, offers: Mapping[str, Offer]) -> Offer:
    return offers.get(place.partition or "", Offer(float("inf"), frozenset()))


def unlike(what: str, given: str | None, allowed: Sequence[str]) -> str:
    """Say that something is not among what the cluster has, and which of that comes nearest."""
    near = difflib.get_close_matches(given or "", allowed, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{what} is {given or 'not set'}; here: {', '.join(allowed)}{hint}"
