"""`layerwise finetune-network` as a user runs it: its log, its exit status, a signal while it trains."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from layerwise.config import load_study
from layerwise.steps.stimuli import pack_stimuli

ROOT = Path(__file__).resolve().parents[2]
STOPPED = os.EX_TEMPFAIL  # 75
TRAIN = [
    "finetune-network", "--model", "tiny", "--splits", "1", "--pixels", "pixels.h5", "--output-folder", "results",
    "--state-folder", "states",
]  # fmt: skip


@pytest.fixture
def start(tmp_path):
    """Starts a command on a study of 60 photographs."""
    rng = np.random.default_rng(2)
    (tmp_path / "photos").mkdir()
    names = [f"{index:02d}.png" for index in range(60)]
    for name in names:
        Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(tmp_path / "photos" / name)
    pd.DataFrame({"image": names, "score": rng.random(60)}).to_csv(tmp_path / "scores.csv", index=False)
    tiny = {"name": "tiny", "factory": "tiny_networks:build", "preprocessing": {"size": 32, "resize": 36}}
    study = {
        "study": "s",
        "models": [tiny | {"weights": "random"}],
        "ratings": [{"name": "rated", "images": "photos", "scores": "scores.csv", "folds": 3}],
        "finetuning": {"models": ["tiny"], "batch_size": 8, "max_epochs": 10_000, "patience": 10_000},
        "compute": {"threads": 1, "device": "cpu"},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(study))
    path = os.pathsep.join([str(ROOT / "tests/workflow"), str(ROOT / "src")])

    def call(*words):
        command = [sys.executable, "-c", "from layerwise.cli import main; main()", *words]
        environment = os.environ | {"PYTHONPATH": path}
        return subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)

    return call


def test_a_signal_ends_it_with_its_own_status_and_a_state(start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pack_stimuli(load_study("config.yaml"), "rated", "crop36to36-bilinear", tmp_path / "pixels.h5")
    running = start(*TRAIN)
    lines = iter(running.stderr.readline, "")
    told = next(line for line in lines if "epoch 2 of at most 10000" in line)
    assert re.match(
        r"tiny, split 1: epoch 2 of at most 10000: loss [\d.]+, validation loss [\d.]+, rho -?[\d.]+, ", told
    )
    assert re.search(r"\d images/s, [\d:a-z, ]+ left at most$", told)
    running.send_signal(signal.SIGUSR2)
    rest = "".join(lines)
    assert running.wait() == STOPPED, rest
    assert re.search(
        r"^SIGUSR2 was received: training stopped after \d+ epochs? and \d+ steps?, and its state", rest, re.M
    )
    assert not any(tmp_path.glob("results/1/*")) and "Traceback" not in rest
    assert [path.suffix for path in sorted(tmp_path.glob("states/1-*"))] == [".state", ".previous"]
