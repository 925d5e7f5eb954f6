"""A small study in a folder of its own, and Snakemake run on it for real."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from layerwise.data.recordings import write_recordings
from layerwise.data.simulate import draw_stimuli, simulate_recordings

ROOT = Path(__file__).resolve().parents[2]
CONFIG = {
    "study": "small",
    "models": [
        {
            "name": "tiny",
            "factory": "tiny_networks:build",
            "weights": "random",
            "preprocessing": {"size": 32, "resize": 36},
        },
        {"name": "untrained", "model": "alexnet", "weights": "random", "seed": 1},
    ],
    "recordings": [
        {
            "name": "recorded",
            "file": "data/recordings.nc",
            "splits": {"by": "object_name", "n_splits": 3, "train_size": 0.8},
        }
    ],
    "ratings": [{"name": "rated", "images": "data/rated", "scores": "data/scores.csv", "folds": 3}],
    "regression": {"components": 4},
    "compute": {"layers_per_job": 16, "threads": 1},
}


@dataclass
class Study:
    """A folder with data, a config, and the results that Snakemake makes in it."""

    folder: Path

    @property
    def results(self) -> Path:
        return self.folder / "results" / "small"

    def configure(self, **changes) -> None:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(CONFIG | changes))

    def environment(self, **changes) -> dict[str, str]:
        path = os.pathsep.join([str(Path(__file__).parent), str(ROOT / "src")])  # this checkout, wherever it is run
        return os.environ | {"PYTHONPATH": path} | changes

    def command(self, *arguments: str) -> list[str]:
        # The config file comes last: it takes as many names as follow, targets too.
        own = ["--snakefile", str(ROOT / "Snakefile"), "--profile", str(ROOT / "profiles/local")]
        return [sys.executable, "-m", "snakemake", *arguments, *own, "--configfile", "config.yaml"]

    def snakemake(self, *arguments: str, **environment: str) -> str:
        """Run Snakemake; its output, and an error with it if it fails."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(**environment),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if done.returncode:
            raise RuntimeError(done.stdout)
        return done.stdout

    def planned(self, *arguments: str, **environment: str) -> dict[str, int]:
        """What a dry run would do: the number of jobs of each rule."""
        output = self.snakemake("--dry-run", *arguments, **environment)
        lines = output.partition("Job stats:")[2].splitlines()[3:]
        jobs = dict(line.split() for line in lines[: lines.index("")]) if lines else {}
        return {rule: int(count) for rule, count in jobs.items() if rule not in ("all", "total")}


def make_data(folder: Path, n_images: int = 40) -> None:
    rng = np.random.default_rng(3)
    recorded, categories = draw_stimuli(folder / "recorded", n_images, rng, size=48)
    layers = {region: rng.standard_normal((n_images, 50)) for region in ("V1", "IT")}
    columns = {"object_name": categories}
    recordings = simulate_recordings(layers, recorded.ids, rng, n_neuroids=5, n_repetitions=4, columns=columns)
    write_recordings(recordings, folder / "recordings.nc", recorded)
    rated, _ = draw_stimuli(folder / "rated", n_images, rng, size=48)
    raters = rng.random((2, n_images)) + rng.random(n_images)
    scores = {"image": rated.ids, "score": raters.mean(axis=0), "anna": raters[0], "ben": raters[1]}
    pd.DataFrame(scores).to_csv(folder / "scores.csv", index=False)
