"""A small study on a real SLURM: its profile, a network that can be held while it runs, and Snakemake as a process."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from layerwise.data.recordings import write_recordings
from layerwise.data.simulate import draw_stimuli, simulate_recordings

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 900  # seconds until a test gives up; jobs of an idle machine take ten
SCORES = "results/held/layers.parquet"  # what is drawn and told of them is made on the login node, without a fault
AFTER_PIXELS = {"activations", "brain", "layers.parquet", "tables", "figures", "report.html", "logs", "slurm_logs"}
CONFIG = {
    "study": "held",
    "models": [
        {
            "name": "own",
            "factory": "held_network:build",
            "weights": "random",
            "preprocessing": {"size": 32, "resize": 36},
        }
    ],
    "recordings": [
        {"name": "recorded", "file": "recordings.nc", "splits": {"by": "object_name", "n_splits": 3, "train_size": 0.8}}
    ],
    "regression": {"components": 4},
    "compute": {"threads": 1},
}
# A network that waits while there is a file `hold`, so that a job can be disturbed while it runs, and takes as many
# megabytes as a file `greedy` says. Images are looked at three at a time before, which does neither. Where the job was
# taken away from it, it goes on as from any batch: this SLURM has no control groups, by which others end all that a job
# left. Names of these files are computed, since a file that the text of a network names is part of the network.
NETWORK = """
import os
import time
from pathlib import Path
import torch
from torch import nn

class Held(nn.Module):
    def forward(self, images):
        hold, held = Path("".join(["ho", "ld"])), Path("".join(["he", "ld"]))
        if len(images) > 3 and hold.exists():
            with held.open("a") as file:
                file.write("x")
            while hold.exists() and os.getppid() != 1:
                time.sleep(0.1)
        slow = Path("slo" + "w")  # a file that is named whole counts as one of the network's own
        if len(images) > 3 and slow.exists():
            with slow.open("a") as file:
                file.write("x")
            time.sleep(4)
        greedy = Path("gre" + "edy")
        if len(images) > 3 and greedy.exists():
            taken = torch.ones(int(greedy.read_text()) * 2**17, dtype=torch.float64)
            time.sleep(5)
        return images

def build():
    return nn.Sequential(Held(), nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(1800, 30))
"""


@dataclass(frozen=True)
class Cluster:
    """A SLURM, and its commands."""

    folder: Path

    def environment(self, **changes: str) -> dict[str, str]:
        paths = [str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        return os.environ | {"PATH": os.pathsep.join(paths), "PYTHONPATH": str(ROOT / "src")} | changes

    def __call__(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    def jobs(self, folder: Path, states: str = "RUNNING") -> list[str]:
        """Numbers of the jobs of a folder that are in these states."""
        lines = self("squeue", "--noheader", f"--states={states}", "--format=%A %Z").splitlines()
        return [number for number, _, place in (line.partition(" ") for line in lines) if place == str(folder)]


@dataclass
class Run:
    """Snakemake as it runs a study."""

    process: subprocess.Popen | None
    log: Path

    def wait(self, patience: float = PATIENCE) -> int:
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise RuntimeError(f"it did not end within {patience} s:\n{self.said()}") from None

    def said(self) -> str:
        return self.log.read_text()

    def jobs(self) -> Counter[str]:
        """How many jobs of each rule were given to SLURM, or done here; a retry counts."""
        submitted = self.submitted()
        done = re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", self.said(), re.MULTILINE)
        return submitted + Counter(rule for rule in done if rule not in submitted and rule != "all")

    def submitted(self) -> Counter[str]:
        """How many jobs of each rule were given to SLURM."""
        return Counter(re.findall(r"has been submitted with SLURM .*/rule_(\w+)/", self.said()))

    def planned(self) -> set[str]:
        """The rules of which a dry run would start jobs."""
        return set(re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):$", self.said(), re.MULTILINE)) - {"all"}

    def requests(self, rule: str, resource: str) -> list[str]:
        """What jobs of a rule asked for, in their order."""
        lines = rf"^rule {rule}:\n(?:    .*\n)*?    resources: .*\b{resource}=(\w*).*\nJob \d+ has been submitted"
        return re.findall(lines, self.said(), re.MULTILINE)

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass
class SlurmStudy:
    """A folder with data, a config, a profile, and the results of the jobs."""

    folder: Path
    cluster: Cluster
    runs: int = 0
    started: list[subprocess.Popen] = field(default_factory=list)

    def profile(self, **changes: object) -> Path:
        """The profile that ships, its block filled in; other keys as given."""
        content = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
        block = {"account": "research", "cpu": {"partition": "cpu"}, "gpu": {"partition": "gpu", "type": "a100"}}
        content |= {"config": {"cluster": block}, "slurm-init-seconds-before-status-checks": 2, "latency-wait": 20}
        folder = self.folder / "profile"
        folder.mkdir(exist_ok=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(content | changes))
        return folder

    def configure(self, **changes: object) -> None:
        (self.folder / "study.yaml").write_text(yaml.safe_dump(CONFIG | changes))

    def start(self, *arguments: str, path: Path | None = None, **changes: object) -> Run:
        """Start Snakemake; keys of the profile may be changed, and a folder put before all others of Python."""
        self.runs += 1
        log = self.folder / f"run{self.runs}.log"
        command = [sys.executable, "-m", "snakemake", *arguments, "--snakefile", str(ROOT / "Snakefile")]
        command += ["--profile", str(self.profile(**changes)), "--configfile", "study.yaml"]
        environment = self.cluster.environment()
        if path is not None:
            environment["PYTHONPATH"] = os.pathsep.join([str(path), environment["PYTHONPATH"]])
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(process)
        return Run(process, log)

    def end(self) -> None:
        """End what a test that failed left: Snakemake, and the jobs of this folder."""
        for process in self.started:
            process.kill()
            process.wait()
        if left := self.cluster.jobs(self.folder, "RUNNING,PENDING"):
            self.cluster("scancel", *left)

    @property
    def first(self) -> Run:
        """The first run, which has ended."""
        return Run(None, self.folder / "run1.log")

    def start_now(self, job: str) -> None:
        """Let a job that SLURM has taken back start again when its node is done with it, and not after two minutes."""
        time.sleep(20)  # under load that took seven seconds; a node refuses a job of which something runs still
        self.cluster("scontrol", "update", f"JobId={job}", "StartTime=now")

    def hold(self) -> None:
        (self.folder / "hold").touch()

    def release(self) -> None:
        (self.folder / "hold").unlink()

    @property
    def held(self) -> int:
        """How often a job was held."""
        file = self.folder / "held"
        return len(file.read_text()) if file.exists() else 0

    def start_held(self, **changes: object) -> Run:
        """Start Snakemake, and wait until a job is held while the network runs."""
        self.hold()
        run = self.start(SCORES, **changes)
        until(lambda: self.held, run)
        return run

    def stream(self) -> None:
        """Make a study of it in which a network is fitted to ratings in five passes of five batches."""
        scores = ["image,score", *(f"{path.name},{number % 7}" for number, path in enumerate(self.images()))]
        (self.folder / "scores.csv").write_text("\n".join(scores) + "\n")
        rated = {"name": "rated", "images": "images", "scores": "scores.csv", "folds": 2}
        self.configure(
            recordings=[],
            ratings=[rated],
            memorability={"small": 10, "method": "exact"},
            compute={"threads": 1, "batch_size": 8},
        )

    def copy_to(self, folder: Path, everything: bool = False) -> "SlurmStudy":
        """Copy the study with what comes before a network is run (its layers, pixels and ceilings), or with all."""
        ignored = shutil.ignore_patterns("run*.log", "profile", "held", *([] if everything else AFTER_PIXELS))

        def ignore(place: str, names: list[str]) -> set[str]:
            return ignored(place, names) - ({"held"} if Path(place).name == "results" else set())

        shutil.copytree(self.folder, folder, ignore=ignore, dirs_exist_ok=True)
        assert (folder / "results/held/stimuli").is_dir() and (folder / SCORES).exists() == everything
        return SlurmStudy(folder, self.cluster)

    def images(self) -> list[Path]:
        return sorted((self.folder / "images").iterdir())

    def tables(self) -> dict[str, str]:
        """A hash of the bytes of each table up to that of all layers."""
        results = self.folder / "results/held"
        files = [path for path in sorted(results.glob("**/*.parquet")) if path.parent.name != "tables"]
        return {str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def until(happened: Callable[[], object], run: Run | None = None, patience: float = PATIENCE) -> None:
    """Wait for something, and fail with what the run said if it ends or nothing happens."""
    end = time.monotonic() + patience
    while not happened():
        ended = run is not None and run.process.poll() is not None
        if ended or time.monotonic() > end:
            raise RuntimeError(f"it did not happen:\n{run.said() if run else ''}")
        time.sleep(0.2)


def make_study(folder: Path, cluster: Cluster) -> SlurmStudy:
    rng = np.random.default_rng(3)
    stimuli, categories = draw_stimuli(folder / "images", 40, rng, size=48)
    responses = simulate_recordings(
        {"IT": rng.standard_normal((40, 50))}, stimuli.ids, rng, n_neuroids=5, n_repetitions=4,
        columns={"object_name": categories},
    )  # fmt: skip
    write_recordings(responses, folder / "recordings.nc", stimuli)
    (folder / "held_network.py").write_text(NETWORK)
    study = SlurmStudy(folder, cluster)
    study.configure()
    return study
