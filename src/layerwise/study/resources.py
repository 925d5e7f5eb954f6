"""What each rule asks of the machine or the cluster: memory, time, disk and GPUs, from the plan of its job.

Memory is that of the plan, what the process takes beside it, and a margin. Time is the expected one on the slowest
machine that is planned for, with a leeway. Both grow with the attempt, so that a job that ran out of them ends at last.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Literal, get_args

from layerwise.interfaces import Geometry
from layerwise.layers.blocks import in_block
from layerwise.passes.memory import NETWORK, working
from layerwise.study.counts import count_set
from layerwise.study.plan import Job, Plan, Plans
from layerwise.study.rates import CPU, LEEWAY, PACKED, PACKED_SIZE, START, Rates
from layerwise.study.regions import find_region
from layerwise.study.results import penultimate_weights
from layerwise.study.training import TrainingPlan, plan_training

Quantity = Literal["mem_mb", "runtime", "disk_mb", "gpu"]

PROCESS = 12 * 10**8  # bytes of Python, its libraries and a network beside the plan: 1.1 to 1.2 GB were measured
DRIVER = 21 * 10**8  # the same of a GPU's libraries: benchmarks/small_gpu.md, 6.3 GB with 3 GB planned
MARGIN = 0.25  # of the plan and the process, in addition
RECORDING_COPIES = 6  # of a file of recordings: read, sorted, averaged, of each half. Not measured: a bound
RECORDING = 3 * 10**8  # bytes of a file, of one that is not there yet. Not measured: a bound
TABLES = 5 * 10**8  # bytes of the tables that are gathered, joined or drawn. Not measured: a bound
PHOTOGRAPH = 2 * 10**8  # bytes of a photograph of 50 million pixels as it is decoded
WAITING = 4  # decoded images that wait, for each thread, as `data.pixels` has them
SMALL = 60  # seconds of a step that reads a few tables, or lists layers. Not measured: a bound
UNKNOWN = 4 * 3600  # seconds of a job whose plan cannot be made yet. Not measured: a bound
LARGEST_KEPT = 8  # bytes of a value of a Gram matrix, which is kept of a representation with many units
VALIDATION = 50_000  # ImageNet's images of the accuracy gate


@dataclass(frozen=True)
class Needs:
    """What a job needs.

    Parameters
    ----------
    memory : int
        Bytes of the machine's memory, by the plan.
    seconds : float
        Expected, without its start.
    disk : int
        Bytes that it writes.
    gpus : int
        GPUs to ask for.
    rates : Rates
        Of the machine that `seconds` are of.
    """

    memory: int
    seconds: float = SMALL
    disk: int = 0
    gpus: int = 0
    rates: Rates = CPU

    @property
    def process(self) -> int:
        """Bytes of Python and its libraries."""
        return PROCESS + (DRIVER if self.rates.on_gpu else 0)

    def ask(self, quantity: Quantity, attempt: int = 1) -> int:
        """Return what is asked for: megabytes, minutes, or a number of GPUs.

        Parameters
        ----------
        quantity : {"mem_mb", "runtime", "disk_mb", "gpu"}
            As Snakemake names it.
        attempt : int
            From 1.
        """
        if quantity == "mem_mb":
            return ceil(attempt * (1 + MARGIN) * (self.memory + self.process) / 10**6)
        if quantity == "runtime":
            return ceil(attempt * (START + LEEWAY + self.rates.slower * self.seconds) / 60)
        return ceil(self.disk / 10**6) if quantity == "disk_mb" else self.gpus


class RuleResources:
    """What the rules of a study ask for.

    Parameters
    ----------
    plans : Plans
        Of the study.
    """

    quantities: tuple[Quantity, ...] = get_args(Quantity)

    def __init__(self, plans: Plans) -> None:
        self.plans, self.study = plans, plans.study
        self._known: dict[tuple[str, ...], Needs] = {}
        self._rules: dict[str, Callable[[Mapping[str, str]], Needs]] = {
            "export_recordings": lambda _: Needs(RECORDING_COPIES * RECORDING),
            "list_layers": lambda _: Needs(2 * NETWORK),  # built twice, to be compared
            "check_accuracy": self._check_accuracy,
            "pack_stimuli": self._pack_stimuli,
            "extract_activations": lambda names: self._of_job("extract_activations", names, names["stimuli"]),
            "estimate_ceiling": lambda names: Needs(RECORDING_COPIES * self._recording(self._find_recording(names))),
            "estimate_consistency": _tables,
            "score_brain": lambda names: self._of_job("score_brain", names, self._find_recording(names)),
            "score_memorability": lambda names: self._of_job("score_memorability", names, names["ratings"]),
            "stream_memorability": lambda names: self._of_job("stream_memorability", names, names["ratings"]),
            "sketch_memorability": lambda names: self._of_job("sketch_memorability", names, names["ratings"]),
            "finetune_network": self._finetune_network,
            "score_penultimate": lambda names: self.of_penultimate(names["model"]),
            "gather_finetuned": _tables,
            "gather_finetuned_study": _tables,
            "gather_model": _tables,
            "gather_study": _tables,
            "gather_finetuned_layers": _tables,
            "correlate_layers": _tables,
            "analyse_layers": _tables,
            "compare_finetuning": _tables,
            "summarise_models": _tables,
            "tabulate_networks": _tables,
            "score_networks": _tables,
            "correlate_regions": _tables,
            "compare_paper": _tables,
            "describe_tables": _tables,
            "plot_figure2": _tables,
            "plot_figure3": _tables,
            "plot_change": _tables,
            "plot_history": _tables,
            "plot_figure4": _tables,
            "plot_figure_s1": _tables,
            "plot_profiles": _tables,
            "plot_depth": _tables,
            "plot_regions": _tables,
            "plot_forest": _tables,
            "make_report": _tables,
        }

    @property
    def rules(self) -> set[str]:
        """Names of the rules."""
        return set(self._rules)

    def of(self, rule: str, names: Mapping[str, str]) -> Needs:
        """Return what a job of a rule needs.

        Parameters
        ----------
        rule : str
            Its name.
        names : mapping of str to str
            Snakemake's wildcards: model, stimuli, region, ratings, block, geometry.
        """
        key = rule, *names.values()  # Snakemake asks four times for each of many thousand jobs
        if key not in self._known:
            try:
                self._known[key] = self._rules[rule](names)
            except (ValueError, KeyError):  # the job, or `layerwise plan`, says what is wrong
                return self._bound(rule)
        return self._known[key]

    def of_job(self, plan: Plan, job: Job) -> Needs:
        """Return what a job of a plan needs."""
        recording = RECORDING_COPIES * self._recording(plan.stimuli) if job.step == "score_brain" else 0
        rates = self.plans.machines.of(bool(job.device))
        return Needs(job.host + recording, job.seconds, job.disk, self._gpus(job.step), rates)

    def _of_job(self, step: str, names: Mapping[str, str], stimuli: str) -> Needs:
        plan = self.plans.of(names["model"], stimuli)
        return self.of_job(plan, plan.job(step, names.get("block", "")))

    def _bound(self, step: str) -> Needs:
        """Return what a job gets whose network, images or memory do not let it be planned yet."""
        budget, gpus = self.plans.budget, self._gpus(step)
        memory = max(budget.host, 0 if budget.on_gpu else budget.device) + NETWORK
        rates = self.plans.machines.of(bool(gpus))
        return Needs(memory, UNKNOWN / rates.slower, 0, gpus, rates)

    def _gpus(self, step: str) -> int:
        """Return the GPUs to ask for; jobs that cannot divide their layers take one, and memorability none."""
        if step == "score_memorability":
            return 0
        gpus = self.plans.budget.gpus
        return gpus if step in ("extract_activations", "stream_memorability") else min(1, gpus)

    def _recording(self, name: str) -> int:
        """Return the bytes of a file of recordings, or a bound where it is not there yet."""
        file = self.study.recording(name).file
        return file.stat().st_size if file.is_file() else RECORDING

    def _find_recording(self, names: Mapping[str, str]) -> str:
        return find_region(self.study, names["region"]).recording

    def _check_accuracy(self, names: Mapping[str, str]) -> Needs:
        budget = self.plans.budget
        layers = self.plans.layers(names["model"])
        rates = self.plans.machines.of(budget.on_gpu)
        passes = VALIDATION * (rates.exact_image + rates.exact_unit * sum(layer.units for layer in layers))
        decoding = VALIDATION * PACKED / budget.threads
        memory = 0 if budget.on_gpu else working(layers, budget.batch_sizes[0]) - NETWORK
        seconds = decoding + (passes if budget.on_gpu else passes / budget.threads)
        return Needs(memory, seconds, 0, min(1, budget.gpus), rates)

    def _finetune_network(self, names: Mapping[str, str]) -> Needs:
        return self.of_training(plan_training(self.plans, names["model"]))

    def of_training(self, plan: TrainingPlan) -> Needs:
        """Return what a job needs that trains a network on."""
        rates = self.plans.machines.of(plan.budget.on_gpu)
        return Needs(plan.host, plan.seconds, plan.disk, min(1, plan.budget.gpus), rates)

    def of_penultimate(self, model: str) -> Needs:
        """Return what a pass of a network over each recording needs with all its weights, and scores of one layer."""
        plans = [self.plans.of(model, entry.name) for entry in self.study.recordings]
        memory, seconds, disk = 0, 0.0, 0
        held = RECORDING_COPIES * sum(self._recording(plan.stimuli) for plan in plans)  # all at once, for all weights
        for plan in plans:
            job, on_gpu, n = plan.jobs[-1], plan.budget.on_gpu, plan.n_images
            rates = self.plans.machines.of(on_gpu)
            run = 0 if on_gpu else working(plan.layers, plan.batch_size) - NETWORK
            memory = max(memory, held + run, held + job.host)
            one = n * (rates.exact_image + rates.exact_unit * sum(layer.units for layer in plan.layers))
            scores = job.count * job.seconds / len(in_block(plan.layers, job.block))
            seconds += scores + (one if on_gpu else one / plan.budget.threads)
            disk += LARGEST_KEPT * n * (n + 1) // 2
        gpus, count = self._gpus("score_penultimate"), len(penultimate_weights(self.study))
        return Needs(memory, count * seconds, count * disk, gpus, self.plans.machines.of(self.plans.budget.on_gpu))

    def _pack_stimuli(self, names: Mapping[str, str]) -> Needs:
        size = Geometry.from_key(names["geometry"]).size
        n_images = count_set(self.study, names["stimuli"]).images
        threads = self.plans.budget.threads
        seconds = n_images * PACKED * max(1, size / PACKED_SIZE) ** 2 / threads
        return Needs(threads * (PHOTOGRAPH + WAITING * 3 * size**2), seconds, pixel_bytes(n_images, size))


def pixel_bytes(n_images: int, size: int) -> int:
    """Return the bytes of decoded images on disk."""
    return 3 * size**2 * n_images


def _tables(_: Mapping[str, str]) -> Needs:
    return Needs(TABLES)
