"""From a result back to its inputs, on a small study that is made step by step, and then changed."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from small_study import CONFIG, make_data
from typer.testing import CliRunner

from layerwise.cli.app import app
from layerwise.cli.options import counted_warnings
from layerwise.config import dump_study, load_study, validate_study
from layerwise.files import hash_file
from layerwise.files.made import MARK, describe_run, read_run, software
from layerwise.steps.activations import extract_activations
from layerwise.steps.brain import estimate_ceiling, score_brain
from layerwise.steps.memorability import score_memorability
from layerwise.steps.networks import list_layers
from layerwise.steps.provenance import find_chain, read_origins, run_of, verify
from layerwise.steps.stimuli import pack_stimuli
from layerwise.steps.tables import gather_model, gather_study
from layerwise.study import Plans, find_region, layout_of
from layerwise.study.tasks import list_tasks

ROOT = Path(__file__).resolve().parents[2]
LAYERS = Path("results/small/layers.parquet")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study of one tiny network, made by its steps in the order of its jobs."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_data(folder / "data")
        write_config(Path("config.yaml"))
        study = load_study(Path("config.yaml"))
        layout = layout_of(study)
        Path(layout.folder).mkdir(parents=True)
        write_config(Path(layout.config))
        list_layers(study, "tiny", *(Path(path) for path in paths_of(study, "list_layers")))
        for task in list_tasks(Plans(study)).tasks:
            run(study, task)
    return folder


def write_config(path, **changes):
    recordings = [CONFIG["recordings"][0] | {"regions": ["V1", "IT"]}]  # which are known without their file, too
    study = validate_study(CONFIG | {"models": CONFIG["models"][:1], "recordings": recordings} | changes)
    path.write_text(dump_study(study, path.parent))


def paths_of(study, step):
    (task,) = (task for task in list_tasks(Plans(study)).tasks if task.step == step)
    manifest, skipped, preprocessing = task.outputs
    return manifest, preprocessing, skipped


def run(study, task):
    names, output, layout = dict(task.names), Path(task.outputs[0]), layout_of(study)
    manifest = Path(layout.manifest("tiny"))
    if task.step == "pack_stimuli":
        pack_stimuli(study, names["stimuli"], names["geometry"], output)
    elif task.step == "extract_activations":
        (pixels,) = (path for path in task.inputs if "/stimuli/" in path)
        extract_activations(study, "tiny", Path(pixels), output, manifest=manifest)
    elif task.step == "estimate_ceiling":
        estimate_ceiling(study, names["region"], output)
    elif task.step == "score_brain":
        stored = layout.activations("tiny", find_region(study, names["region"]).recording)
        score_brain(study, "tiny", names["region"], names["block"], Path(stored), output, manifest)
    elif task.step == "score_memorability":
        stored = layout.activations("tiny", names["ratings"])
        score_memorability(study, "tiny", names["ratings"], names["block"], Path(stored), output, manifest)
    elif task.step == "gather_model":
        gather_model(study, "tiny", Path(layout.folder), output, manifest)
    elif task.step == "gather_study":
        gather_study(study, Path(layout.folder), output, Path(task.outputs[1]))
    Path(task.log).parent.mkdir(parents=True, exist_ok=True)
    Path(task.log).write_text(f"running\n{describe_run()}\n")


@pytest.fixture
def here(made, monkeypatch):
    monkeypatch.chdir(made)
    return made


def differences(path=LAYERS):
    count, found = verify(find_chain(path))
    assert count > 80  # 80 images, and the hashes of what was computed
    return {one.what: one for one in found}


def test_the_chain_leads_to_the_inputs(here):
    chain = find_chain(LAYERS)
    assert [task.step for task in chain.tasks][-1] == "gather_study"
    assert {task.step for task in chain.tasks} >= {"list_layers", "pack_stimuli", "extract_activations", "score_brain"}
    assert {origins.about for origins in chain.carried} == {"V1", "IT", "memorability"}
    one = find_chain(Path("results/small/models/tiny/activations/recorded.h5"))
    assert {task.step for task in one.tasks} == {"list_layers", "pack_stimuli", "extract_activations"}


def test_what_a_job_ran_with_stands_in_its_log_and_not_in_its_result(here):
    (task,) = (task for task in find_chain(LAYERS).tasks if task.step == "gather_study")
    ran = run_of(task)
    assert {"layerwise", "commit", "python", "torch", "host", "gpus", "time"} <= ran.keys()
    before = hash_file(LAYERS)
    run(load_study(Path("config.yaml")), task)
    assert hash_file(LAYERS) == before
    head = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True)
    if head.returncode == 0:
        assert ran["commit"].startswith(head.stdout.strip())


def test_nothing_differs_where_nothing_was_changed(here):
    assert differences() == {}


@pytest.mark.parametrize(
    ("file", "what"),
    [("data/recordings.nc", "recordings of V1"), ("data/scores.csv", "ratings rated")],
)
def test_data_that_are_gone_or_changed_are_named(here, file, what):
    path, content = Path(file), Path(file).read_bytes()
    try:
        path.unlink()
        assert what in differences()
        if path.suffix == ".csv":
            path.write_bytes(re.sub(rb"jpg,[^,]*,", b"jpg,7,", content, count=1))
            assert path.read_bytes() != content
            assert differences().keys() == {what}
    finally:
        path.write_bytes(content)


def test_an_image_that_was_changed_is_named(here):
    image = sorted(Path("data/rated").iterdir())[0]
    content = image.read_bytes()
    try:
        image.write_bytes(content + b"\0")
        assert differences().keys() == {f"image {image}"}
    finally:
        image.write_bytes(content)


def test_a_network_that_was_changed_is_named(here):
    model = CONFIG["models"][0] | {"seed": 7}
    config = Path("results/small/config.yaml")
    content = config.read_text()
    try:
        write_config(config, models=[model])
        assert differences().keys() == {"network of tiny", "weights of tiny"}
    finally:
        config.write_text(content)


def test_the_command_prints_the_chain_and_ends_with_status_1_where_something_differs(here):
    said = CliRunner().invoke(app, ["provenance", str(LAYERS), "--verify"])
    assert said.exit_code == 0, said.output
    assert "verified: " in said.output and "score_brain: 2 jobs" in said.output and "commit" in said.output
    Path("data/scores.csv").rename("data/away.csv")
    try:
        said = CliRunner().invoke(app, ["provenance", str(LAYERS), "--verify"])
        assert isinstance(said.exception, ValueError) and "ratings rated: " in str(said.exception)
    finally:
        Path("data/away.csv").rename("data/scores.csv")


def test_files_that_are_no_result(here, tmp_path, monkeypatch):
    for path, sentence in {
        "nowhere.parquet": "is not there",
        "data/scores.csv": "lies in no study's folder of results",
        "results/small/config.yaml": "no job of the study makes",
    }.items():
        with pytest.raises(ValueError, match=sentence):
            find_chain(Path(path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="run this in the folder where Snakemake ran"):
        find_chain(here / LAYERS)


def test_a_damaged_result_is_told(tmp_path):
    for name in ("t.parquet", "a.h5", "w.safetensors"):
        (tmp_path / name).write_bytes(b"damaged")
        with pytest.raises(ValueError, match=name):
            read_origins(tmp_path / name)


def test_lines_of_logs():
    assert read_run(["x", MARK + "{", "y"]) == read_run([]) == read_run([MARK + "[1]"]) == {}
    assert read_run([f"{MARK}{json.dumps({'a': 1})}", MARK + '{"a": 2}', "z"]) == {"a": 2}
    assert software()["layerwise"]


def test_a_step_says_what_it_ran_with_in_a_log_alone(capsys):
    with counted_warnings():
        pass
    assert read_run(capsys.readouterr().err.splitlines())["python"]
    with pytest.raises(ValueError), counted_warnings():
        raise ValueError
    assert capsys.readouterr().err == ""
