"""What is measured of a machine is what a plan is made of, and a core like the measured one gives factors near 1."""

import pytest
import torch

from layerwise.config import validate_study
from layerwise.steps import calibration
from layerwise.steps.calibration import COMPONENTS, PASSES, SCORED, SPLITS, Workload, calibrate, compare
from layerwise.study import Plans
from layerwise.study.calibration import KINDS
from layerwise.study.rates import GPU

HUGE = {"gpus": 1, "gpu_memory": "900000GB", "memory": "900000GB"}
LAMEM = {"name": "lamem", "images": "none", "splits": "none"}
MAJAJ = {
    "name": "movies",
    "brainscore": "MajajHong2015.public",
    "file": "none.nc",
    "images": "none",
    "regions": ["V4"],
    "visual_degrees": 8,
}


def planned(stimuli, layers=None, **sections):
    content = {"study": "s", "models": ["resnet50"], "recordings": [MAJAJ], "ratings": [LAMEM], "compute": HUGE}
    plan = Plans(validate_study(content | sections)).of("resnet50", stimuli, layers)
    return plan, calibration._plan(GPU, plan.layers, plan.n_images)


def test_what_is_measured_of_stored_activations_is_what_is_planned():
    plan, ours = planned("movies")
    extraction, _ = plan.jobs
    assert extraction.passes == 1
    assert ours["extraction"] == pytest.approx(extraction.seconds)
    few, _ = planned("movies", plan.layers[:SCORED])
    assert ours["scoring"] == pytest.approx(few.jobs[1].seconds)
    assert (SPLITS, COMPONENTS) == (10, 25)


def test_and_of_fits():
    plan, ours = planned("lamem")
    (fit,) = plan.jobs
    per_pass = ours["passes"] + ours["streaming"] / (PASSES + 1)
    assert fit.seconds == pytest.approx(fit.passes * per_pass)
    plan, ours = planned("lamem", memorability={"method": "sketch"})
    (sketch,) = plan.jobs
    assert sketch.seconds == pytest.approx(ours["passes"] + ours["sketching"])


def test_networks_are_added_up_and_a_difference_that_is_nothing_stays_above_it():
    measured = [{"passes": 3.0, "streaming": -1.0}, {"passes": 1.0, "streaming": -1.0}]
    assert compare(measured, [{"passes": 1.0, "streaming": 1.0}] * 2) == {"passes": 2.0, "streaming": calibration.LEAST}


def test_a_study_that_asks_for_a_gpu_is_measured_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"torch sees none here: .*run where there is one"):
        calibrate(1)


@pytest.mark.slow
def test_a_core_is_measured():
    threads = torch.get_num_threads()
    found, on_gpu = calibrate(0, Workload(("alexnet",), 128, 32))
    assert not on_gpu and found.factors.keys() == KINDS.keys() and torch.get_num_threads() == threads
    assert found.machine.startswith("core of ") and found.versions["torch"] == torch.__version__
    # Other processors, or one whose memory others use, take other times; a wrong unit would be a thousandfold.
    assert all(0.02 < factor < 50 for factor in found.factors.values())
