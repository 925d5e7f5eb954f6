"""The code behind each rule is found from the function of its step: what it uses is in it, and no more."""

import re
import shutil
from pathlib import Path

import pytest

from layerwise.files.code import is_module
from layerwise.study.staleness import STEPS, sources_of
from layerwise.study.staleness import code as staleness_code
from layerwise.study.staleness.code import APART

ROOT = Path(__file__).parents[2]
BEHIND = {
    "list_layers": {"layers.listing", "layers.probing", "models.building"},
    "check_accuracy": {"data.images", "analyses.accuracy", "models.building", "models.labelled", "analyses.proof"},
    "pack_stimuli": {"data.folders", "data.pixels", "data.ratings", "data.recordings", "steps.inputs:rated_images"},
    "extract_activations": {"activations.extract", "data.pixels", "models.building", "steps.inputs:with_pca_images"},
    "estimate_ceiling": {"analyses.ceiling", "analyses.reliability", "data.recordings"},
    "estimate_consistency": {"analyses.ceiling", "data.ratings"},
    "score_brain": {"analyses.brain", "analyses.reliability", "data.recordings", "regression.pls", "layers.blocks"},
    "score_memorability": {"analyses.memorability", "data.ratings", "regression.pls", "layers.blocks"},
    "stream_memorability": {"streaming.fit", "analyses.streamed", "data.ratings", "models.building"},
    "sketch_memorability": {"sketching.fit", "analyses.streamed", "data.ratings", "models.building"},
    "finetune_network": {"finetuning.folds", "finetuning.step", "data.ratings", "models.building", "models.heads"},
    "gather_model": {"activations.store", "analyses.gather", "analyses.neuroids", "statistics.scores"},
    "gather_study": {"analyses.gather"},
    "gather_finetuned_layers": {"analyses.gather", "files.tables"},
    "correlate_layers": {"statistics.correlation", "statistics.ranks", "statistics.permutation"},
    "analyse_layers": {"statistics.nested", "statistics.groups", "statistics.mixed", "statistics.commonality"},
    "compare_finetuning": {"statistics.finetuning", "statistics.intervals"},
    "summarise_models": {"statistics.summary"},
    "tabulate_networks": {"files.tables"},
    "score_networks": {"analyses.controls", "analyses.networks", "analyses.last_layers", "statistics.intervals"},
    "correlate_regions": {"statistics.agreement"},
    "compare_paper": {"analyses.reproduction"},
    "describe_tables": {"analyses.dictionary"},
    "plot_figure2": {"figures.figure2", "figures.style"},
    "score_penultimate": {"analyses.penultimate", "analyses.brain", "activations.extract"},
    "gather_finetuned": {"analyses.finetuned", "analyses.gather", "data.ratings"},
    "gather_finetuned_study": {"analyses.finetuned", "analyses.gather"},
    "plot_figure3": {"figures.figure3", "figures.style", "statistics.folds", "statistics.correlation"},
    "plot_change": {"figures.change", "statistics.folds"},
    "plot_history": {"figures.history", "figures.style"},
    "plot_figure4": {"figures.figure4", "figures.controls"},
    "plot_figure_s1": {"figures.figure_s1", "figures.controls"},
    "plot_profiles": {"figures.profiles"},
    "plot_depth": {"figures.depth", "figures.groups"},
    "plot_regions": {"figures.regions"},
    "plot_forest": {"figures.forest", "figures.groups"},
    "make_report": {"report.page", "report.panels", "report.columns", "analyses.networks", "statistics.correlation"},
}
NOT_BEHIND = {
    "extract_activations": {"steps.inputs:rated_images", "steps.inputs:region_recordings", "data.recordings"},
    "estimate_ceiling": {"steps.brain:score_brain", "analyses.brain", "models.building", "activations.store"},
    "score_brain": {"analyses.memorability", "streaming.fit", "models.building", "figures.figure2", "data.ratings"},
    "score_memorability": {"analyses.brain", "streaming.fit", "sketching.fit", "models.building", "data.recordings"},
    "stream_memorability": {"sketching.fit", "steps.memorability:sketch_memorability", "data.recordings"},
    "finetune_network": {"streaming.fit", "regression.pls", "data.recordings", "layers.listing"},
    "gather_study": {"activations.store", "steps.tables:gather_model"},
    "correlate_layers": {"statistics.summary", "statistics.mixed", "analyses.gather"},
    "compare_finetuning": {"statistics.ranks", "statistics.nested"},
    "plot_figure2": {"analyses.gather"},
    "score_penultimate": {"finetuning.training", "streaming.fit", "data.ratings", "figures.figure3"},
    "gather_finetuned": {"regression.pls", "finetuning.training", "figures.figure3"},
    "gather_finetuned_study": {"data.ratings", "figures.figure3"},
    "plot_figure3": {"analyses.finetuned", "figures.history", "data.ratings"},
    "plot_history": {"analyses.finetuned", "figures.figure3", "statistics.folds"},
    "tabulate_networks": {"analyses.networks"},
    "compare_paper": {"analyses.gather", "figures.figure2"},
    "make_report": {"figures.figure2", "analyses.gather", "models.building"},
}


def test_every_rule_has_the_code_of_its_step():
    rules = {}
    for file in (ROOT / "workflow/rules").glob("*.smk"):
        for rule, body in re.findall(
            r"^(?:rule|checkpoint) (\w+):\n((?:    .*\n|\n)+)", file.read_text(), re.MULTILINE
        ):
            rules[rule] = re.findall(r'made_from\(\s*"(\w+)"', body)
    # The rule of fine-tuning has its name from its splits, since there may be one for each group of them.
    text = (ROOT / "workflow/rules/finetuning.smk").read_text()
    rules["finetune_network"] = re.findall(r'made_from\(\s*"(\w+)"', text)
    assert re.findall(r'name:\s+"(\w+)"', text) == ["finetune_network"]
    assert rules == {step: [step] for step in STEPS}


@pytest.mark.parametrize("step", STEPS)
def test_what_a_step_computes_with_is_behind_it(step):
    assert {f"layerwise.{name}" for name in BEHIND[step]} - sources_of(step) == set()


@pytest.mark.parametrize("step", NOT_BEHIND)
def test_what_it_does_not_use_is_not(step):
    names = {f"layerwise.{name}" for name in NOT_BEHIND[step]}
    assert all(is_module(name.partition(":")[0]) for name in names)
    assert names & sources_of(step) == set()


@pytest.mark.parametrize("step", STEPS)
def test_the_rooms_whose_decisions_are_parameters_are_behind_none(step):
    assert all(map(is_module, APART))
    assert {name for name in sources_of(step) if name.startswith(("layerwise.cli", *APART))} == set()


def test_the_report_is_made_of_each_file_of_its_room_that_is_no_code():
    room = ROOT / "src/layerwise/report"
    files = {f"report/{path.name}" for path in room.iterdir() if path.is_file() and path.suffix != ".py"}
    assert files == set(STEPS["make_report"].files) and files


def test_an_edit_of_a_file_that_a_step_brings_makes_its_results_stale(tmp_path, monkeypatch):
    package = shutil.copytree(ROOT / "src/layerwise/report", tmp_path / "report").parent
    monkeypatch.setattr(staleness_code, "ROOT", package)
    find = staleness_code.code_of.__wrapped__  # without what was found before
    found, other = [find("make_report")], find("plot_forest")
    for name in STEPS["make_report"].files:
        with (package / name).open("a") as file:
            file.write("\n")
        found.append(find("make_report"))
    assert len(set(found)) == 4 and find("plot_forest") == other


def test_make_report_draws_each_figure_that_is_not_of_the_epochs_of_a_network():
    rules = {path.stem: path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk")}
    (stages,) = re.findall(r"^STAGES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    drawing = {stage for stage, text in rules.items() if re.search(r"^rule plot_", text, re.MULTILINE)}
    assert drawing <= set(stages.split())
