"""Responses of another kind, from one's own array to a row a layer: the example in docs/own-data.md."""

import runpy
from pathlib import Path

import pandas as pd
import pytest
import yaml
from damage import edited
from typer.testing import CliRunner

from layerwise.analyses.ceiling import estimate_ceiling
from layerwise.analyses.gather import median_ceilings
from layerwise.cli.app import app
from layerwise.data.recordings import read_recordings

EXAMPLE = Path(__file__).parents[2] / "examples" / "own"
VOXELS = {"V4": 45, "LO": 45, "V4_first": 20}
GEOMETRY = "square224-bilinear-canvas0.952381"


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output or result.exception
    return result.output


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The example's files, where its config looks for them."""
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLE / "simulate.py"))["main"](Path("results/own"))
    run("data", "import", "results/own/fmri.yaml", "--output", "results/own/fmri.nc")
    content = yaml.safe_load((EXAMPLE / "study.yaml").read_text()) | {"compute": {"threads": 1}}
    text = yaml.safe_dump(content)
    assert "../../results/own/fmri.nc" in text  # as it counts from the folder of the example
    Path("config.yaml").write_text(text.replace("../../", ""))
    return Path("results/own-fmri")


def test_betas_of_fmri_become_scores_of_layers(study):
    own = study / "models/untrained"
    for name in ("both", "first"):
        pixels, activations = study / f"{name}.h5", own / f"activations/{name}.h5"
        run("pack-stimuli", "--stimuli", name, "--geometry", GEOMETRY, "--output", pixels)
        run("extract-activations", "--model", "untrained", "--pixels", pixels, "--output", activations)
    for region in VOXELS:
        given = own / "activations" / ("first.h5" if region == "V4_first" else "both.h5")
        scored = own / "brain" / region / "001-019.parquet"
        run("estimate-ceiling", "--region", region, "--output", study / f"ceilings/{region}.parquet")
        asked = ("--model", "untrained", "--region", region, "--block", "001-019")
        run("score-brain", *asked, "--activations", given, "--output", scored)
        scores = pd.read_parquet(scored)
        assert set(scores["neuroids"]) == {VOXELS[region]}
    run("gather-model", "--model", "untrained", "--folder", study, "--output", own / "layers.parquet")
    layers = pd.read_parquet(own / "layers.parquet")
    for region in VOXELS:
        assert len(layers[region].dropna()) == 21
        assert layers[region].max() > 0.3  # voxels read colours of an image, and so do layers of a random network
    first = read_recordings("results/own/fmri.nc", ["V4"], ["sub-01"])
    assert layers["V4_first_ceiling"].iloc[0] == median_ceilings([estimate_ceiling(first, "V4")])["V4"]
    with edited(own / "activations/both.h5") as kept:
        kept.attrs["weights"] = "others"
    gathered = ("gather-model", "--model", "untrained", "--folder", str(study), "--output", str(own / "again.parquet"))
    refused = CliRunner().invoke(app, gathered)
    assert "some of its jobs saw other weights than the rest" in str(refused.exception)
    assert not (own / "again.parquet").exists()
