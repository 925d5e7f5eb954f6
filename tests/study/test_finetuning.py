"""What a study fine-tunes, and what its jobs take, known without a tensor."""

import csv
from pathlib import Path

import pytest

from layerwise.cli import show
from layerwise.config import dump_study, load_study, validate_study
from layerwise.interfaces import LayerSpec, Preprocessing
from layerwise.layers.manifest import write_manifest
from layerwise.models import registry
from layerwise.study import (
    FINETUNED_FILES,
    WEIGHTS,
    Layout,
    Plans,
    RuleResources,
    finetuned_models,
    finetuned_results,
    finetuned_splits,
    finetuning_geometry,
    finetuning_groups,
    finetuning_pixels_for,
    set_aside,
    write_preprocessing,
)
from layerwise.study.forecast import forecast
from layerwise.study.results import final_results
from layerwise.study.training import plan_training
from layerwise.study.training_rates import COUNTED, TABLE, with_margin

LAMEM = {"name": "lamem", "images": "none", "splits": "none"}
MODELS = ["resnet50", "vgg16", {"name": "untrained", "model": "resnet18", "weights": "random"}]
ON_GPU = {"compute": {"gpus": 1}}


def study(section, **changes):
    return validate_study({"study": "s", "models": MODELS, "ratings": [LAMEM], "finetuning": section} | changes)


def test_untrained_controls_are_trained_only_if_they_are_named():
    assert finetuned_models(study({})) == ["resnet50", "vgg16"]
    assert finetuned_models(study({"models": ["untrained", "resnet50"]})) == ["resnet50", "untrained"]
    assert finetuned_models(study(None)) == []


def test_splits_are_numbered_from_1_and_divided_over_jobs():
    assert finetuned_splits(study({})) == ["1", "2", "3", "4", "5"]
    assert finetuning_groups(study({"folds_per_job": 2})) == [["1", "2"], ["3", "4"], ["5"]]
    assert finetuning_groups(study({"splits": [4, 2]})) == [["2"], ["4"]]
    assert finetuning_groups(study(None)) == finetuned_splits(study(None)) == []


def write_results(layout, splits, files=FINETUNED_FILES):
    paths = [Path(layout.finetuned("tiny", split, file)) for split in splits for file in files]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(path))
    return list(map(str, paths))


def test_what_is_finished_of_a_job_is_set_aside_as_links(tmp_path):
    layout = Layout(str(tmp_path))
    outputs = [*write_results(layout, "13"), *write_results(layout, "2", [WEIGHTS])]
    for _ in range(2):  # a run that was stopped before its jobs began leaves some
        assert set_aside(layout, "tiny", [*outputs, "other.log"]) == ["1", "3"]
        kept = tmp_path / "scratch/finetune_network/tiny.states/finished"
        assert {path.name for path in kept.iterdir()} == {"1", "3"}
        for path in map(Path, outputs[:-1]):
            assert (kept / path.parent.name / path.name).samefile(path)
    for path in outputs:
        Path(path).unlink()
    assert len([path for path in kept.rglob("*") if path.is_file()]) == 2 * len(
        FINETUNED_FILES
    )  # as Snakemake removes outputs
    assert set_aside(layout, "tiny", outputs) == []


def test_of_a_job_of_another_rule_nothing_is_set_aside(tmp_path):
    layout = Layout(str(tmp_path))
    write_results(layout, "1")
    assert set_aside(layout, "", ["layers.parquet", "layers.csv"]) == []
    assert not (tmp_path / "scratch").exists()


def test_where_a_disk_has_no_links_it_is_told(tmp_path, monkeypatch, caplog):
    layout = Layout(str(tmp_path))
    outputs = write_results(layout, "12")

    def refuse(path, target):
        raise PermissionError(1, "Operation not permitted", str(path), None, str(target))

    monkeypatch.setattr("os.link", refuse)
    assert set_aside(layout, "tiny", outputs) == []
    assert "1 cannot be linked (Operation not permitted): it is trained again" in caplog.text
    assert [path for path in (tmp_path / "scratch").rglob("*") if path.is_file()] == []


def test_a_split_that_the_files_do_not_have_is_refused(tmp_path):
    for number in (1, 2):
        (tmp_path / f"train_{number}.txt").touch()
    with pytest.raises(ValueError, match=r"finetuning.splits: there is no split 3: lamem is divided into 2"):
        finetuned_splits(study({"splits": [1, 3]}, ratings=[LAMEM | {"splits": tmp_path}]))


@pytest.mark.parametrize(
    ("size", "resize", "crop", "kind", "key"),
    [
        (224, 256, "centre", "crop", "crop256to256-bilinear"),
        (299, 342, "centre", "crop", "crop342to342-bilinear"),
        (224, 224, "centre", "crop", "crop256to256-bilinear"),  # nothing would be left to crop
        (380, 380, "centre", "crop", "crop434to434-bilinear"),
        (331, 378, "squash", "crop", "squash378to378-bilinear"),
        (224, 256, "centre", "square", "square256-bilinear"),
    ],
)
def test_pixels_are_as_large_as_before_the_crop_that_a_network_was_trained_with(size, resize, crop, kind, key):
    expected = Preprocessing(size, resize, "bilinear", (0, 0, 0), (1, 1, 1), crop=crop)
    one = study({}, ratings=[LAMEM | {"geometry": kind}])
    assert finetuning_geometry(one, expected).key == key
    assert finetuning_pixels_for(one, Layout("r"), "lamem", expected) == f"r/stimuli/lamem/{key}.h5"


def test_every_network_leaves_something_to_crop():
    one = study({})
    for name in registry.names():
        expected = registry.find(name).preprocessing
        assert finetuning_geometry(one, expected).size > expected.size


def test_the_study_ends_with_the_files_of_each_network_and_split():
    layout = Layout("r")
    with_it, without = (set(final_results(study(section), layout)) for section in ({"splits": [1, 2]}, None))
    assert with_it - without >= set(finetuned_results(study({"splits": [1, 2]}), layout))
    assert "r/models/vgg16/finetuned/2/weights.safetensors" in with_it
    assert not any("finetuned" in path for path in without)


# --- jobs -------------------------------------------------------------------------------------------------------------


def plan(section=None, model="resnet50", **changes):
    return plan_training(Plans(study(section or {}, **(ON_GPU | changes))), model)


def row_of(network, precision):
    with TABLE.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return next(row for row in rows if (row["model"], row["precision"]) == (network, precision))


def test_a_network_that_was_measured_is_planned_with_its_rate():
    for precision in ("tf32", "bf16"):
        row, found = row_of("resnet50", precision), plan({"precision": precision})
        assert found.rate.measured and row["device"] in found.rate.source
        trained = found.seconds - float(row["seconds_to_prepare"])  # not compiled: it trains for minutes
        assert trained == pytest.approx(25 * 58_741 * 0.8 / float(row["images_per_second"]), rel=1e-4)
        assert found.rate.memory == pytest.approx(1e9 * float(row["gigabytes"]))


@pytest.mark.parametrize(
    ("changes", "tried"),
    [
        ({}, True),
        ({"compile": "never"}, False),
        ({"deterministic": True}, False),
        ({"patience": 1, "max_epochs": 1}, False),  # 47,000 images at 800 a second are no five minutes
        ({"patience": 1, "max_epochs": 1, "compile": "always"}, True),
    ],
)
def test_a_network_that_is_quicker_compiled_is_planned_so_where_a_job_tries(changes, tried, monkeypatch):
    row = row_of("resnet50", "tf32") | {"images_per_second": "800", "seconds_to_prepare": "15"}
    row |= {"compiled_images_per_second": "900", "seconds_to_compile": "43"}
    slow = row | {"compiled_images_per_second": "700"}
    never = row | {"compiled_images_per_second": "0"}
    for known, quicker in ((row, tried), (slow, False), (never, False)):
        rows = {("resnet50", "tf32"): known}
        monkeypatch.setattr("layerwise.study.training_rates._measured", lambda rows=rows: rows)
        found = plan(changes).rate
        assert (1 / found.seconds, found.prepared) == pytest.approx((900, 43) if quicker else (800, 15))


def test_a_network_that_was_not_is_estimated_and_says_so(monkeypatch):
    known = plan()
    monkeypatch.setattr("layerwise.study.training_rates._measured", dict)
    found = plan()
    assert not found.rate.measured and "estimated" in found.rate.source
    assert 1 / 3 < found.rate.seconds / known.rate.seconds < 3
    slower = plan({"precision": "float32"})
    assert not slower.rate.measured and slower.rate.seconds == 2 * found.rate.seconds


def counted():
    with COUNTED.open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_the_memory_of_every_network_was_counted_and_with_the_margin_none_that_was_measured_holds_more():
    whole = {(row["model"], row["precision"]): float(row["gigabytes"]) for row in counted() if row["images"] == "32"}
    assert set(whole) == {(name, precision) for name in registry.names() for precision in ("tf32", "bf16")}
    with TABLE.open() as file:
        held = [row for row in csv.DictReader(file, delimiter="\t") if not row["source"]]
    assert len(held) >= 128
    for row in held:
        assert 1e9 * float(row["gigabytes"]) <= with_margin(round(1e9 * whole[row["model"], row["precision"]])), row


def test_a_network_that_was_not_measured_is_planned_with_what_was_counted(monkeypatch):
    monkeypatch.setattr("layerwise.study.training_rates._measured", dict)
    name = "efficientnet_b3"
    of = {row["precision"]: float(row["gigabytes"]) for row in counted() if row["model"] == name}
    for precision, known in (("tf32", of["tf32"]), ("bf16", of["bf16"]), ("float32", of["tf32"])):
        found = plan({"precision": precision}, model=name, models=[name]).rate
        assert found.memory == pytest.approx(1.15e9 * known + 2.1e9) and not found.measured


def test_an_own_network_is_planned_with_the_parameters_that_its_job_counted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = study({}, models=[{"name": "own", "factory": "mine:build"}], **ON_GPU)
    folder = tmp_path / "results/s/models/own"
    write_manifest([LayerSpec("conv", "Conv2d", (8, 4, 4), 128, 1)], folder / "manifest.tsv")
    expected = Preprocessing(64, 64, "bilinear", (0, 0, 0), (1, 1, 1))
    write_preprocessing(expected, folder / "preprocessing.json")
    bound = plan_training(Plans(one), "own")
    write_preprocessing(expected, folder / "preprocessing.json", parameters=1000)
    found = plan_training(Plans(one), "own")
    assert (bound.parameters, found.parameters) == (10**8, 1000)
    assert found.weights == 5 * 4 * 1000
    assert bound.rate.memory - found.rate.memory == 16 * (10**8 - 1000)


def test_epochs_are_those_of_the_config_where_it_allows_fewer_than_expected():
    few, all_of_them = (plan(changes).seconds - plan().rate.prepared for changes in ({"max_epochs": 5}, {}))
    assert few == pytest.approx(all_of_them / 5)
    assert plan({"max_epochs": 50}).seconds == plan().seconds


def test_pixels_are_held_where_they_fit_beside_the_training():
    large, small = plan(), plan(compute={"gpus": 1, "gpu_memory": "13GB"})
    assert large.pixels == small.pixels == 58_741 * 256**2 * 3
    assert large.device == large.rate.memory + large.pixels
    assert small.device == small.rate.memory < 13e9


def test_splits_of_one_job_share_its_pixels_and_add_up_otherwise():
    one, five = plan(), plan({"folds_per_job": 5})
    assert (one.jobs, five.jobs) == (5, 1)
    assert five.device - five.pixels == 5 * (one.device - one.pixels)
    assert five.seconds == pytest.approx(5 * one.seconds)


def test_parts_of_a_batch_and_large_batches_change_the_memory():
    plain = plan().rate.memory
    assert plan({"batch_size": 128}).rate.memory > 2 * plain
    assert plan({"batch_size": 128, "accumulate": 4}).rate.memory == plain


def test_a_job_asks_for_a_gpu_and_what_is_planned():
    resources = RuleResources(Plans(study({}, compute={"gpus": 2})))
    needs, planned = resources.of("finetune_network", {"model": "resnet50", "split": "1"}), plan()
    assert needs.gpus == 1
    assert (needs.memory, needs.seconds, needs.disk) == (planned.host, planned.seconds, planned.disk)
    on_cpu = RuleResources(Plans(study({}))).of("finetune_network", {"model": "resnet50", "split": "1"})
    assert on_cpu.gpus == 0 and on_cpu.memory > needs.memory and on_cpu.seconds > 20 * needs.seconds


def test_the_forecast_counts_jobs_hours_weights_and_pixels():
    found, without = (forecast(study(section, **ON_GPU), ["resnet50", "vgg16"]) for section in ({}, None))
    assert [row.plan.model for row in found.trained] == ["resnet50", "vgg16"] and without.trained == []
    stage = found.stages["finetune_network"]
    assert stage.jobs == 10
    assert stage.gpu_hours == pytest.approx(sum(5 * row.plan.seconds for row in found.trained) / 3600)
    assert found.weights == 5 * 4 * sum(registry.find(name).parameters for name in ("resnet50", "vgg16"))
    assert found.pixels - without.pixels == 58_741 * 256**2 * 3
    assert found.stages["pack_stimuli"].jobs == without.stages["pack_stimuli"].jobs + 1


def test_the_plan_is_printed_with_what_was_measured_and_what_is_guessed(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_text(dump_study(study({}, **ON_GPU)))
    show.plan(path, ["resnet50"])
    told = capsys.readouterr().out
    assert "fine-tuning:" in told and "measured" in told and "finetune_network: 5 jobs" in told
    assert "25 epochs until early stopping, which is a guess" in told
    assert "divides batches" not in told
    path.write_text(dump_study(study({}, compute={"gpus": 1, "gpu_memory": "3GB"})))
    show.plan(path, ["resnet50"])
    assert "is planned for resnet50: a job divides batches into parts" in capsys.readouterr().out
    path.write_text(dump_study(study(None)))
    show.plan(path, ["resnet50"])
    assert "fine-tuning" not in capsys.readouterr().out.lower()


def test_a_checked_config_says_how_many_jobs_train_networks(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_text(dump_study(study({"folds_per_job": 2})))
    show.check_config(path)
    assert "fine-tuning: 2 networks on 5 splits in 6 jobs" in capsys.readouterr().out


def test_the_papers_config_fine_tunes_its_64_networks_in_320_jobs():
    paper = load_study(Path(__file__).resolve().parents[2] / "config.yaml")
    assert len(finetuned_models(paper)) == 64
    assert len(finetuned_models(paper)) * len(finetuning_groups(paper)) == 320
