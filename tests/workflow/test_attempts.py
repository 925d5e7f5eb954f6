"""Attempts at a job of a cluster, started as the cluster's job step starts them."""

import pytest

from layerwise.config import dump_study, load_study

pytestmark = pytest.mark.workflow
PIXELS = "results/small/stimuli/rated/crop36to32-bilinear.h5"
AS_A_JOB = (
    "--mode",
    "remote",
    "--cores",
    "1",
    "--no-hooks",
    "--nolock",
    "--allowed-rules",
    "pack_stimuli",
    "--attempt",
)


def test_a_job_that_failed_by_a_mistake_is_not_tried_again_in_the_same_run(study):
    image = sorted((study.folder / "data/rated").iterdir())[0]
    whole = image.read_bytes()
    image.write_bytes(whole[:100])
    (study.results / "config.yaml").parent.mkdir(parents=True)
    (study.results / "config.yaml").write_text(dump_study(load_study(study.folder / "config.yaml"), study.results))
    said = []
    for attempt in ("1", "2"):
        with pytest.raises(RuntimeError):
            study.snakemake(PIXELS, *AS_A_JOB, attempt)
        said.append(next(study.results.glob("logs/pack_stimuli/**/*.log")).read_text().strip())
        image.write_bytes(whole)  # so that a second try would not fail
    sentence = said[0][said[0].index("error: ") :]
    assert image.name in sentence
    assert said[1] == f"{sentence} (so said an earlier attempt of this run: not tried again)"


@pytest.mark.slow
def test_the_next_run_forgets_mistakes_which_may_be_mended(study):
    mistake = study.results / "scratch/mistakes/0123"
    mistake.parent.mkdir(parents=True)
    mistake.write_text("a mistake")
    study.snakemake(PIXELS)
    assert not mistake.parent.exists()
