"""Steps that gather and draw fine-tuned networks: from files to files, and what is missing is named."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from finetuned_tables import fold, scores
from scipy.stats import spearmanr

from layerwise.config import validate_study
from layerwise.files.tables import read_table, write_table
from layerwise.steps.finetuned import (
    gather_finetuned,
    gather_finetuned_study,
    plot_change,
    plot_figure3,
    plot_history,
)
from layerwise.steps.inputs import rated_images
from layerwise.study import HISTORY, PREDICTIONS, Layout, final_results, layout_of

N, MODELS = 40, ("alexnet", "resnet18")


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study of two networks and two regions, of which only the scored images are there."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    names = [f"{index:02d}.png" for index in range(N)]
    for name in names:
        Path("photos", name).touch()
    pd.DataFrame({"image": names, "score": np.linspace(0, 1, N)}).to_csv("scores.csv", index=False)
    return make()


def make(**changes):
    rated = {"name": "rated", "images": "photos", "scores": "scores.csv", "folds": 2, "measure": "beauty"}
    recorded = {"name": "recorded", "file": "none.nc", "regions": ["V1", "IT"], "visual_degrees": 8}
    whole = {"study": "s", "models": list(MODELS), "recordings": [recorded], "ratings": [rated], "finetuning": {}}
    return validate_study(whole | changes)


@pytest.fixture
def trained(rng, study):
    """Results of both networks and splits; the layout of the folder that they lie in."""
    layout, ratings = layout_of(study), rated_images(study, "rated")[0]
    for model in MODELS:
        write_table(scores(rng, "w"), layout.penultimate_scores(model, "pretrained"))
        for split in (1, 2):
            held = ratings.splits[split - 1].train[:4]  # folds have no validation part
            one = fold(rng, ratings, split, validation=held)
            for file, table in ((HISTORY, one.history), (PREDICTIONS, one.predictions)):
                more = {"learning_rate": 1e-3, "training_loss": 0.1, "validation_loss": 0.2}
                whole = table.assign(model=model, **(more if file == HISTORY else {}))
                whole.attrs = table.attrs
                write_table(whole, layout.finetuned(model, str(split), file))
            write_table(one.scores, layout.penultimate_scores(model, str(split)))
    return layout


@pytest.fixture
def gathered(study, trained):
    for model in MODELS:
        gather_finetuned(study, model, Path(trained.folder), Path(trained.model_finetuned(model)))
    csv = Path(trained.table("finetuned", "csv"))
    gather_finetuned_study(study, Path(trained.folder), Path(trained.finetuned_table), csv)
    return trained


def test_tables_of_networks_become_one_for_programs_and_one_for_people(gathered):
    table = read_table(gathered.finetuned_table)
    assert list(zip(table["model"], table["split"], strict=True)) == [(m, s) for m in MODELS for s in "12"]
    read = pd.read_csv(gathered.table("finetuned", "csv"), dtype={"split": str}).fillna({"reason": ""})
    pd.testing.assert_frame_equal(read, table, check_dtype=False)
    shown = read_table(gathered.finetuned("alexnet", "1", PREDICTIONS))
    test = shown[shown["part"] == "test"]
    assert table["rho"][0] == pytest.approx(spearmanr(test["score"], test["predicted"]).statistic, abs=1e-12)
    assert table.attrs["data"].keys() == set(MODELS)


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ([("2", HISTORY)], r"alexnet lacks results of 1 of its 2 splits \(2; .*finetuned/2/history\.parquet\)"),
        ([("1", PREDICTIONS), ("2", "scores")], r"alexnet lacks results of 2 of its 2 splits \(1, 2; .*/1/predictions"),
    ],
)
def test_splits_that_are_not_there_are_named(study, trained, lost, told):
    for split, file in lost:
        scored = file == "scores"
        path = trained.penultimate_scores("alexnet", split) if scored else trained.finetuned("alexnet", split, file)
        Path(path).unlink()
    output = Path(trained.model_finetuned("alexnet"))
    with pytest.raises(ValueError, match=told):
        gather_finetuned(study, "alexnet", Path(trained.folder), output)
    assert not output.exists()
    if ("1", PREDICTIONS) not in lost:
        gather_finetuned(make(finetuning={"splits": [1]}), "alexnet", Path(trained.folder), output)
        assert list(read_table(output)["split"]) == ["1"]


def test_a_study_without_recordings_or_without_fine_tuning(trained):
    bare, output = make(recordings=[]), Path("gathered.parquet")
    gather_finetuned(bare, "alexnet", Path(trained.folder), output)
    assert [name for name in read_table(output) if name.endswith("_after")] == []
    for step, arguments in ((gather_finetuned, ("alexnet",)), (gather_finetuned_study, ())):
        with pytest.raises(ValueError, match="the study fine-tunes no network"):
            step(make(finetuning=None), *arguments, Path(trained.folder), output)


def test_figures_are_drawn_and_an_unknown_region_is_named_with_those_that_are_there(gathered):
    table, output = Path(gathered.finetuned_table), [Path("figure.png")]
    plot_figure3(table, "V1", output, "beauty")
    assert output[0].stat().st_size > 5000
    plot_change(table, ["V1", "IT"], output)
    for draw in (lambda: plot_figure3(table, "V4", output), lambda: plot_change(table, ["IT", "V4"], output)):
        with pytest.raises(ValueError, match=r"no region 'V4': .* --region; there are: V1, IT"):
            draw()
    histories = [Path(gathered.finetuned("alexnet", split, HISTORY)) for split in "12"]
    plot_history(histories, output)
    other = Path(gathered.finetuned("resnet18", "1", HISTORY))
    with pytest.raises(ValueError, match=r"several networks \(alexnet, resnet18\)"):
        plot_history([*histories, other], output)


def test_a_study_ends_with_these_where_it_fine_tunes():
    layout = Layout("r")
    found = final_results(make(), layout)
    histories = [path for model in MODELS for path in layout.history_figure(model)]
    assert {layout.finetuned_table, *layout.figure("figure3"), *layout.figure("figure3_change"), *histories} <= {*found}
    bare = final_results(make(recordings=[]), layout)
    assert layout.finetuned_table in bare and not set(layout.figure("figure3")) & set(bare)
    assert not any("finetuned" in path or "figure3" in path for path in final_results(make(finetuning=None), layout))
