"""A small study on a real SLURM: its profile, a network that can be held while it runs, and Snakemake as a process."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from layerwise.data.recordings import write_recordings
from layerwise.data.simulate import draw_stimuli, simulate_recordings

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 240  # seconds until a test gives up; jobs of an idle machine take ten
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
# A network that waits while there is a file `hold`, so that a job can be disturbed while it runs. Images are looked at
# three at a time before, which does not wait. Where the job was taken away from it, it goes on as from any batch: this
# SLURM has no control groups, by which others end all that a job left. The names of both files are computed, since a
# file that the text of a network names is part of the network.
NETWORK = """
import os
import time
from pathlib import Path
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

    process: subprocess.Popen
    log: Path

    def wait(self, patience: float = PATIENCE) -> int:
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise RuntimeError(f"it did not end within {patience} s:\n{self.said()}") from None

    def said(self) -> str:
        return self.log.read_text()

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
    runs: int = field(default=0)

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

    def start(self, *arguments: str, **changes: object) -> Run:
        """Start Snakemake; keys of the profile may be changed."""
        self.runs += 1
        log = self.folder / f"run{self.runs}.log"
        command = [sys.executable, "-m", "snakemake", *arguments, "--snakefile", str(ROOT / "Snakefile")]
        command += ["--profile", str(self.profile(**changes)), "--configfile", "study.yaml"]
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.cluster.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Run(process, log)

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
        run = self.start(**changes)
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

    def images(self) -> list[Path]:
        return sorted((self.folder / "images").iterdir())

    def tables(self) -> dict[str, str]:
        """A hash of the content of each table of scores."""
        results = self.folder / "results/held"
        files = [*results.glob("**/*.parquet"), *results.glob("**/*.csv")]
        return {str(file.relative_to(results)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def until(happened: Callable[[], object], run: Run, patience: float = PATIENCE) -> None:
    """Wait for something, and fail with what the run said if it ends or nothing happens."""
    end = time.monotonic() + patience
    while not happened():
        if run.process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"it did not happen:\n{run.said()}")
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
