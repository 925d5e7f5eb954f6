"""Commands as a user runs them, from the arguments to the exit status."""

import contextlib
import errno
import io
import os
import re
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
import typer
import yaml
from damage import edited
from PIL import Image
from torchvision import models

from layerwise.analyses import proof
from layerwise.cli import app, steps
from layerwise.config import load_study
from layerwise.config.settings import ComputeSettings
from layerwise.data.recordings import write_recordings
from layerwise.files.tables import write_table
from layerwise.interfaces import Recordings, StimulusSet
from layerwise.layers import LayerTap, read_manifest
from layerwise.layers.blocks import distinct
from layerwise.models import build
from layerwise.steps import devices, limits
from layerwise.study import Plans

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Done:
    returncode: int
    stderr: str


def run(*arguments: str) -> Done:
    stderr = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(stderr):
        patch.setattr(sys, "argv", ["layerwise", *arguments])
        patch.setattr(os, "_exit", sys.exit)  # would end the tests
        patch.setattr(sys, "unraisablehook", sys.unraisablehook)  # put back afterwards
        try:
            app.main()
            status = 0
        except SystemExit as exit:
            status = int(exit.code or 0)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return Done(status, stderr.getvalue())


@pytest.fixture
def folder(tmp_path, rng, monkeypatch):
    """A study of 32 images with scores and recordings, an own network and a known one; tests run in its folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    names = [f"photo {index:02d}.png" for index in range(32)]
    for name in names:
        Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(tmp_path / "photos" / name)
    pd.DataFrame({"image": names, "score": rng.random(32)}).to_csv(tmp_path / "scores.csv", index=False)
    responses = rng.standard_normal((3, 32, 4))
    images = StimulusSet("photos", tuple(names), tuple(tmp_path / "photos" / name for name in names))
    recordings = Recordings(responses, tuple(names), ("a", "b", "c", "d"), ("V1",) * 4)
    write_recordings(recordings, tmp_path / "movies.nc", images)
    configure(tmp_path)
    return tmp_path


def configure(folder: Path, **changes: object) -> None:
    study = {
        "study": "s",
        "models": [
            {"name": "tiny", "factory": "tiny_networks:build", "preprocessing": {"size": 32, "resize": 36}},
            {"name": "squeezenet", "model": "squeezenet1_1", "weights": "weights.pth"},
        ],
        "recordings": [{"name": "movies", "file": "movies.nc"}],
        "ratings": [{"name": "figrim", "images": "photos", "scores": "scores.csv", "folds": 2}],
        "regression": {"components": 4},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(study | changes))


def pack(stimuli="figrim", geometry="crop36to32-bilinear"):
    return run("pack-stimuli", "--stimuli", stimuli, "--geometry", geometry, "--output", "pixels.h5")


def list_layers():
    arguments = ("--model", "tiny", "--manifest", "layers.tsv", "--preprocessing", "preprocessing.json")
    return run("list-layers", *arguments)


def extract(model="tiny"):
    options = ("--manifest", "layers.tsv") if model == "tiny" else ()
    return run("extract-activations", "--model", model, "--pixels", "pixels.h5", "--output", "activations.h5", *options)


def score():
    options = ("--model", "tiny", "--manifest", "layers.tsv", "--activations", "activations.h5", "--block", "001-007")
    return run("score-memorability", *options, "--ratings", "figrim", "--output", "rho.parquet")


def fails(done: Done, pattern: str, folder: Path, *unwritten: str) -> None:
    """A sentence, a status that is not 0, no traceback, and nothing half-written."""
    assert done.returncode != 0
    assert re.search(pattern, done.stderr, re.DOTALL), done.stderr
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.stderr
    for name in unwritten:
        assert not (folder / name).exists()
    assert [path for path in folder.rglob(".*") if path.is_file()] == []


def test_commands_have_the_names_of_the_rules():
    rules = set()
    for file in (ROOT / "workflow/rules").glob("*.smk"):
        rules |= set(re.findall(r"^(?:rule|checkpoint) (\w+):", file.read_text(), re.MULTILINE))
    rules.add("finetune_network")  # its rule is named after its splits
    commands = {command.name for command in app.app.registered_commands}
    missing = {rule for rule in rules if rule.replace("_", "-") not in commands}
    assert missing == set()
    assert {"score_brain", "gather_study"} <= rules


def test_every_step_says_what_it_does():
    for command in app.app.registered_commands:
        assert command.callback.__doc__, command.name
    assert steps.__doc__


def test_help_and_planning_do_not_wait_for_torch():
    code = "import sys; from layerwise.cli.app import app; import layerwise.study; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_steps_work_without_snakemake(folder):
    for done in (pack(), list_layers(), extract(), score()):
        assert done.returncode == 0, done.stderr
    table = pd.read_parquet(folder / "rho.parquet")
    assert len(table) == 7 * 2
    assert table["rho"].notna().all()


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "I;16", "1"])
def test_images_of_other_modes_are_read(folder, mode):
    grey = np.random.default_rng(0).integers(0, 2**16, (40, 50)).astype(np.uint16)
    image = Image.fromarray(grey) if mode == "I;16" else Image.fromarray((grey // 257).astype(np.uint8)).convert(mode)
    image.save(folder / "photos/photo 00.png", format="TIFF" if mode == "CMYK" else "PNG")
    assert pack().returncode == 0


def test_truncated_and_missing_images(folder):
    photo = folder / "photos/photo 03.png"
    photo.write_bytes(photo.read_bytes()[:200])
    fails(pack(), r"1 image cannot be read.*photo 03\.png", folder, "pixels.h5")
    photo.unlink()
    fails(pack(), r"photo 03\.png", folder, "pixels.h5")


def test_scores_without_images_and_images_without_scores(folder):
    table = pd.read_csv(folder / "scores.csv")
    table.iloc[1:].to_csv(folder / "scores.csv", index=False)
    fails(pack(), r"photo 00\.png", folder, "pixels.h5")
    pd.concat([table, pd.DataFrame({"image": ["none.png"], "score": [0.5]})]).to_csv(folder / "scores.csv", index=False)
    fails(pack(), r"none\.png", folder, "pixels.h5")


def test_duplicate_ids_and_missing_scores(folder):
    table = pd.read_csv(folder / "scores.csv")
    pd.concat([table, table.iloc[:1]]).to_csv(folder / "scores.csv", index=False)
    fails(pack(), r"photo 00\.png", folder, "pixels.h5")
    table.assign(score=[np.nan, *table["score"][1:]]).to_csv(folder / "scores.csv", index=False)
    fails(pack(), "line 2", folder, "pixels.h5")


def test_unknown_names(folder):
    fails(pack(stimuli="figrin"), "no recording or ratings 'figrin' .*: movies, figrim", folder, "pixels.h5")
    fails(pack(geometry="round224"), "no geometry 'round224'", folder, "pixels.h5")
    configure(folder, models=["alexnett"])
    fails(pack(), "no network 'alexnett'.*did you mean", folder, "pixels.h5")
    configure(folder, modles=[])
    fails(pack(), "unknown key 'modles': did you mean 'models'", folder, "pixels.h5")
    fails(run("layers", "alexnett"), "did you mean", folder)


def test_weights_with_missing_and_extra_keys(folder):
    pack(geometry="crop256to224-bilinear")
    state = build("squeezenet1_1").state_dict()
    torch.save({key: value for key, value in state.items() if "features.3" not in key}, folder / "weights.pth")
    fails(extract("squeezenet"), r"features\.3", folder, "activations.h5")
    torch.save(state | {"more": torch.zeros(3)}, folder / "weights.pth")
    fails(extract("squeezenet"), "more", folder, "activations.h5")
    (folder / "weights.pth").unlink()
    fails(extract("squeezenet"), r"no file 'weights\.pth'", folder, "activations.h5")


def test_caches_that_are_truncated_or_of_another_network(folder):
    pack(), list_layers(), extract()
    content = (folder / "activations.h5").read_bytes()
    with edited(folder / "activations.h5") as file:
        file.attrs["model"] = "another"
    fails(score(), "of 'another', not of 'tiny'", folder, "rho.parquet")
    (folder / "activations.h5").write_bytes(content[: len(content) // 2])
    fails(score(), r"activations\.h5 has no checksums", folder, "rho.parquet")
    (folder / "pixels.h5").write_bytes((folder / "pixels.h5").read_bytes()[:1000])
    (folder / "activations.h5").unlink()
    fails(extract(), r"pixels\.h5 has no checksums", folder, "activations.h5")


def test_the_gate_measures_the_network_as_the_study_runs_it(folder, monkeypatch):
    """An own preprocessing in the config is measured too, and too few images are no proof."""
    backwards = {"size": 224, "resize": 256, "channels": "BGR"}
    entry = {"name": "backwards", "model": "squeezenet1_1", "preprocessing": backwards}
    configure(folder, models=[entry], imagenet={"images": "photos", "labels": "labels.txt"})
    (folder / "labels.txt").write_text("".join(f"photo {index:02d}.png 7\n" for index in range(32)))
    seen = []
    monkeypatch.setattr("layerwise.analyses.proof.build", lambda *_, **__: build("squeezenet1_1"))
    measured = proof.measure_accuracy
    monkeypatch.setattr(proof, "measure_accuracy", lambda *arguments: seen.append(arguments[2]) or measured(*arguments))
    done = run("check-accuracy", "--model", "backwards", "--output", "accuracy.json")
    fails(done, "32 images are too few to tell", folder, "accuracy.json")
    assert seen[0].channels == "BGR"
    monkeypatch.setattr("layerwise.analyses.accuracy.ENOUGH", 1)
    done = run("check-accuracy", "--model", "backwards", "--output", "accuracy.json")
    fails(done, r"published is 58\.18 %", folder, "accuracy.json")


def test_networks_without_a_published_accuracy_need_no_gate(folder, capsys):
    for model in ("tiny", "squeezenet"):
        done = run("check-accuracy", "--model", model, "--output", "accuracy.json")
        fails(done, f"no accuracy is published for '{model}'", folder, "accuracy.json")
    configure(folder, accuracy_gate=True)
    fails(run("check-config"), "1 problem:\n  model 'squeezenet': its file of weights weights.pth is not there", folder)
    torch.save({}, folder / "weights.pth")
    assert run("check-config").returncode == 0
    expected = "not checked by the accuracy gate, since no accuracy is published: tiny, squeezenet"
    assert expected in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("resnet18.nothing", "timm has no weights 'nothing' of 'resnet18': it has resnet18.a1_in1k"),
        ("resnet1888", "timm has no network 'resnet1888': did you mean resnet18"),
    ],
)
def test_a_checked_config_names_networks_that_timm_has(folder, name, told):
    configure(folder, models=[{"name": "it", "timm": name}])
    fails(run("check-config"), re.escape(told), folder)
    configure(folder, models=[{"name": "it", "timm": "resnet18.a1_in1k"}])
    assert run("check-config").returncode == 0


def test_a_plan_says_what_running_the_networks_takes(folder, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    assert run("plan").returncode == 0
    text = capsys.readouterr().out
    rows = text.splitlines()
    assert [row.split()[:7] for row in rows[1:3]] == [
        ["squeezenet", name, "32", "57", "stored", "1", "1"] for name in ("movies", "figrim")
    ]
    assert re.search(r"2 jobs run a network, with 2 forward passes; .* compute.memory, 5 GB, allows", rows[3])
    assert re.search(r"^score_brain: 1 job, [\d.]+ CPU-hours$", text, re.MULTILINE)
    assert "benchmarks/cpu_rates.md" in text
    assert rows[-1] == "tiny: a job lists its layers first, and what runs over them is counted then"
    done = run("plan", "--model", "squeezenett")
    assert done.returncode and "no model 'squeezenett' in the study; there are: tiny, squeezenet" in done.stderr


def test_a_plan_of_networks_whose_layers_are_not_listed_has_no_empty_table(folder, capsys):
    assert run("plan", "--model", "tiny").returncode == 0
    text = capsys.readouterr().out
    assert "images of" not in text and text.startswith("0 jobs run a network") and "a job lists its layers" in text


def test_a_plan_shows_what_fits_and_names_what_does_not(folder, capsys):
    models, ratings = ["vgg19", "squeezenet1_1"], [{"name": "lamem", "images": "photos", "splits": "none"}]
    configure(folder, models=models, ratings=ratings, recordings=[], compute={"memory": "2GB"})
    done = run("plan")
    text = capsys.readouterr().out
    assert done.returncode == 1
    assert "vgg19 over lamem: 2,000,000,000 bytes are too few" in done.stderr
    assert "Traceback" not in done.stderr
    assert text.splitlines()[1] == "squeezenet1_1, 58,741 images of lamem"
    assert "fitted again in float64" in text


def test_a_streamed_step_does_what_was_planned(folder, monkeypatch):
    configure(folder, memorability={"small": 10}, compute={"memory": "2GB", "batch_size": 3})
    study = load_study(folder / "config.yaml")
    pack(), list_layers()
    layers, seen = read_manifest(folder / "layers.tsv"), []

    def fit(devices, network, all_layers, group, rated, how, *rest):
        seen.append((group, how))
        raise ValueError("enough")

    monkeypatch.setattr("layerwise.steps.memorability.stream_pls_on", fit)
    plan = Plans(study).of("tiny", "figrim", layers)
    names = ("--model", "tiny", "--manifest", "layers.tsv", "--ratings", "figrim", "--pixels", "pixels.h5")
    for block in plan.blocks:
        fails(run("stream-memorability", *names, "--block", block, "--output", "rho.parquet"), "enough", folder)
    assert [layer for group, _ in seen for layer in group] == distinct(layers)
    assert {(how.batch_size, how.memory, how.host) for _, how in seen} == {(plan.batch_size, 2 * 10**9, 0)}


def test_fewer_stimuli_than_components(folder):
    configure(folder, regression={"components": 25})
    pack(), list_layers(), extract()
    fails(score(), "25.*16|16.*25", folder, "rho.parquet")


def test_a_disk_that_is_full(folder, monkeypatch):
    pack(), list_layers()

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("layerwise.files.atomic._flush", full)
    fails(extract(), "the disk is full.*free some space", folder, "activations.h5")


def test_a_quota_that_is_used_up():
    error = OSError(errno.EDQUOT, "Disk quota exceeded", "a.h5")
    assert app._sentence(error) == "your quota of the disk is used up (a.h5): free some space and run the command again"


@pytest.mark.parametrize("method", ["stored", "sketched"])
def test_a_disk_that_is_full_as_hdf5_tells_it(folder, monkeypatch, method):
    """It says so in several lines, when a file is closed."""
    pack(), list_layers()
    configure(folder, memorability={"small": 10, "method": "sketch"})
    told = "file write failed: time = Sat\n, filename = 'a', errno = 28, error message = 'No space left on device'"
    close = h5py.File.close

    def full(file):
        writing = file and file.mode == "r+"
        close(file)
        if writing:
            raise RuntimeError(told)

    monkeypatch.setattr(h5py.File, "close", full)
    if method == "stored":
        done = extract()
    else:
        options = ("--model", "tiny", "--manifest", "layers.tsv", "--pixels", "pixels.h5", "--ratings", "figrim")
        done = run("sketch-memorability", *options, "--block", "001-007", "--file", "rows.h5", "--output", "o.parquet")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        "error: the disk is full (while writing): free some space and run the command again",
    )


def test_pixels_cut_for_another_network(folder):
    list_layers()
    pack(geometry="crop36to30-bilinear")
    message = r"pixels\.h5 holds images cut as crop36to30-bilinear, .*--geometry crop36to30-bilinear"
    fails(extract(), message.replace("geometry crop36to30", "geometry crop36to32"), folder, "activations.h5")
    pack(geometry="square32-bicubic-canvas2")
    fails(extract(), r"expects square32-bilinear-canvas2", folder, "activations.h5")
    pack(geometry="square32-bilinear-canvas2")
    assert extract().returncode == 0


def test_tables_without_the_columns(folder):
    write_table(pd.DataFrame({"layer": ["a"], "V1": [0.5]}), folder / "layers.parquet")
    correlated = pd.DataFrame({"region": ["V1"], "measure": ["memorability"], "rho": [0.5]})
    write_table(correlated, folder / "correlations.parquet")
    arguments = ("--layers", "layers.parquet", "--output")
    fails(run("correlate-layers", *arguments, "c.parquet"), "lacks model, memorability", folder, "c.parquet")
    analyse = ("analyse-layers", "--layers", "layers.parquet", "--folder", "results")
    fails(run(*analyse), "lacks model, class, units, depth, memorability", folder, "results")
    compare = ("compare-finetuning", "--finetuned", "layers.parquet", "--folder", "results")
    fails(run(*compare), "lacks model, split, V1_before, V1_after", folder, "results")
    fails(run("summarise-models", *arguments, "s.parquet"), "lacks model, depth, memorability", folder, "s.parquet")
    draw = ("plot-figure2", "--correlations", "correlations.parquet", *arguments, "figure2.pdf")
    fails(run(*draw), "lacks model, memorability", folder, "figure2.pdf")
    write_table(pd.DataFrame({"model": ["m"], "V1": [0.5], "memorability": [0.5]}), folder / "layers.parquet")
    fails(run(*draw, "--measure", "beauty"), "'beauty'; measures that were: memorability", folder, "figure2.pdf")
    assert run(*draw).returncode == 0


WRITTEN = {"--output", "--csv", "--state", "--skipped", "--preprocessing"}
FOLDERS = {("simulate",), ("sensitivity",)}  # which write folders
WRITTEN_BY_ONE = {("list-layers", "--manifest"), ("sketch-memorability", "--file")}


def words_for(command, option):
    """What else a command needs: a word for each argument and option."""
    needed = [one for one in command.params if one.required and one.opts[0] != option]
    return [word for one in needed for word in ([one.opts[0]] if one.param_type_name == "option" else []) + ["1"]]


def written_files(command=None, *words):
    """Every command, with what it needs, and each of its options that name a file to write."""
    command = command or typer.main.get_command(app.app)
    found = [
        case for name, inner in getattr(command, "commands", {}).items() for case in written_files(inner, *words, name)
    ]
    options = [one for one in command.params if words[:1] not in FOLDERS and not getattr(one, "is_flag", False)]
    for option in (one.opts[0] for one in options):
        if option in WRITTEN or (words[-1:] and (words[-1], option) in WRITTEN_BY_ONE):
            found.append(pytest.param([*words, *words_for(command, option)], option, id=" ".join([*words, option])))
    return found


def test_each_step_of_the_workflow_names_a_file_to_write():
    writing = {case.values[0][0] for case in written_files()}
    steps_panel = {
        one.callback.__name__.replace("_", "-")
        for one in app.app.registered_commands
        if one.callback.__module__ == steps.__name__
    }
    folders = {"finetune-network", "analyse-layers", "compare-finetuning", "score-networks", "compare-paper"}
    assert steps_panel - folders <= writing


@pytest.mark.parametrize(("words", "option"), written_files())
def test_no_command_writes_over_what_is_no_file(folder, words, option):
    os.mkfifo(folder / "pipe.png")
    (folder / "null.png").symlink_to("/dev/null")
    for name, kind in (("pipe.png", "a pipe"), ("null.png", "a device"), ("photos", "a folder")):
        fails(run(*words, option, name), f"^error: {name} is {kind}: name a file", folder)
    assert stat.S_ISFIFO((folder / "pipe.png").stat().st_mode) and (folder / "null.png").is_symlink()


@pytest.mark.parametrize("error", [torch.linalg.LinAlgError("no SVD"), KeyError("x"), ZeroDivisionError("none")])
def test_what_nobody_foresaw_is_told_in_a_sentence_too(folder, monkeypatch, error):
    def raising(*_, **__):
        raise error

    monkeypatch.setattr("layerwise.steps.stimuli.pack_pixels", raising)
    monkeypatch.delenv("LAYERWISE_DEBUG", raising=False)
    done = pack()
    assert done.returncode == 70
    assert f"internal error: {type(error).__name__}: {error}; run again with LAYERWISE_DEBUG=1" in done.stderr
    assert "Traceback" not in done.stderr
    monkeypatch.setenv("LAYERWISE_DEBUG", "1")
    with pytest.raises(type(error)):
        pack()


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory. Tried\nmore"), RuntimeError("you: can't allocate memory: 9")]
)
def test_memory_that_runs_out_is_told_with_the_budgets(folder, monkeypatch, error):
    pack(), list_layers()

    def raising(*_, **__):
        raise error

    monkeypatch.setattr("layerwise.activations.extract.plan_extraction", raising)
    done = extract()
    message = (
        r"memory ran out \(.*\)\. .* compute\.memory \(5\.0 GB\), or compute\.gpu_memory \(75\.0 GB\) .* is not set"
    )
    fails(done, message, folder, "activations.h5")
    assert done.returncode == 1
    error = torch.linalg.LinAlgError("no SVD")  # of the same family, and another matter
    fails(extract(), "internal error: _LinAlgError: no SVD", folder, "activations.h5")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "MemoryError"),
        (RuntimeError("could not create a primitive"), "could not create a primitive"),
        (RuntimeError("can't start new thread"), "can't start new thread"),
        (pa.ArrowMemoryError("malloc of size 64 failed"), "malloc of size 64 failed"),
        (OSError("Can't read data (memory allocation failed for raw data chunk)"), "Can't read data .*chunk.*"),
        (torch.OutOfMemoryError("CUDA out of memory.\nmore"), r"CUDA out of memory\."),
    ],
)
def test_memory_that_runs_out_is_told_by_every_command(folder, monkeypatch, error, reason):
    def raising(*_, **__):
        raise error

    monkeypatch.setattr("layerwise.steps.stimuli.pack_pixels", raising)
    done = pack()
    fails(done, rf"\nerror: memory ran out \({reason}\): run the command where more is free", folder, "pixels.h5")
    assert done.returncode == 1 and done.stderr.splitlines()[:-1] == [
        "scores.csv: 32 rows, each an image and its score"
    ]


LITTLE = """
import resource
from layerwise.cli import main

held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 300_000_000,) * 2)
main()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone keeps to limits of memory")
def test_memory_that_runs_out_while_libraries_are_loaded_is_told(folder):
    command = [sys.executable, "-c", LITTLE, "extract-activations", "--model", "tiny", "--pixels", "p", "--output", "o"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})
    fails(done, r"^error: memory ran out \(.*\): run the command where more is free", folder, "o")
    assert done.returncode == 1 and done.stderr.count("\n") == 1


def sketch(*options, command="sketch-memorability"):
    arguments = ("--model", "tiny", "--manifest", "layers.tsv", "--ratings", "figrim", "--block", "001-007")
    return run(command, *arguments, "--pixels", "pixels.h5", "--output", "rho.parquet", *options)


def test_sketches_carry_how_they_were_made_and_what_it_costs(folder):
    configure(folder, memorability={"method": "sketch", "dimensions": 256, "seed": 3})
    pack(), list_layers()
    done = sketch("--file", "sketches.h5")
    assert done.returncode == 0, done.stderr
    assert "7 layers in one forward pass over 32 images" in done.stderr
    assert re.search(r"sketching 7 layers of tiny: 32 done in [0-9.]+ s", done.stderr)
    table = pd.read_parquet(folder / "rho.parquet")
    assert len(table) == 7 * 2 and table["rho"].notna().all()
    told = table.attrs["data"]["memorability"]
    assert (told["method"], told["dimensions"], told["seed"]) == ("sketch", "256", "3")
    assert table.attrs["sketch_error"]["memorability"].startswith("not measured at 256 dimensions")
    assert not (folder / "sketches.h5").exists()
    in_memory = sketch()
    assert in_memory.returncode == 0
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "rho.parquet"), table)


def test_a_job_that_asked_for_a_gpu_does_not_run_without_one(folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    configure(folder, memorability={"method": "sketch", "small": 10}, compute={"gpus": 1})
    pack(), list_layers()
    message = r"asked for 1 GPU \(compute\.gpus\), but torch sees none here: .* set compute\.gpus to 0"
    fails(extract(), message, folder, "activations.h5")
    fails(sketch(), message, folder, "rho.parquet")
    fails(sketch(command="stream-memorability"), message, folder, "rho.parquet")


def test_a_job_with_less_memory_than_is_planned_is_told_beforehand(folder, monkeypatch):
    configure(folder, memorability={"method": "sketch", "small": 10})
    pack(), list_layers()
    for given, short in ((9 * 10**9, False), (10**9, True)):
        monkeypatch.setattr(limits, "memory_limit", lambda given=given: (given, "SLURM gave the job"))
        for done in (extract(), sketch(), sketch(command="stream-memorability")):
            assert done.returncode == 0
            assert (" GB, and SLURM gave the job 1.0 GB: memory may run out" in done.stderr) == short


def test_a_gpu_with_less_memory_than_was_planned_with_is_told_beforehand(monkeypatch, caplog):
    compute = ComputeSettings(gpus=2, gpu_memory="13GB", memory="100MB")
    free = {"cuda:0": 14 * 10**9, "cuda:1": 14 * 10**9}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[device], 80 * 10**9))
    devices.warn_of_plan(list(free), compute)
    assert caplog.text == ""
    free["cuda:1"] = 12 * 10**9
    devices.warn_of_plan(list(free), compute)
    assert "is 13.0 GB, by which the layers of this job were planned, and the GPU has 12.0 GB" in caplog.text


@pytest.mark.parametrize(("capability", "fits"), [((8, 9), True), ((8, 6), True), ((12, 1), True), ((7, 0), False)])
def test_a_gpu_takes_kernels_of_its_major_version_that_are_no_newer(monkeypatch, capability, fits):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80", "sm_86", "sm_90", "sm_120"])
    if fits:
        assert devices.choose_device("auto") == "cuda"
    else:
        with pytest.raises(ValueError, match="has no kernels for a GPU"):
            devices.choose_device("auto")


def test_sketches_of_other_images_are_refused(folder):
    pack(stimuli="movies", geometry="crop36to32-bilinear"), list_layers()
    table = pd.read_csv(folder / "scores.csv").iloc[1:]
    (folder / "photos" / "photo 00.png").unlink()
    table.to_csv(folder / "scores.csv", index=False)
    fails(sketch(), r"pixels\.h5 holds other images than the ratings 'figrim'", folder, "rho.parquet")


SLOW = """
import time
from torch import nn

class Slow(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 40))

    def forward(self, images):
        time.sleep(0.5)
        return self.layer(images)
"""


def test_a_job_that_is_terminated_while_it_writes_leaves_what_the_next_goes_on_from_and_nothing_else(folder):
    (folder / "slow_networks.py").write_text(SLOW)
    configure(
        folder,
        models=[{"name": "tiny", "factory": "slow_networks:Slow", "preprocessing": {"size": 32, "resize": 36}}],
        compute={"batch_size": 1, "threads": 1},
    )
    pack()
    options = ["--model", "tiny", "--manifest", "layers.tsv"]
    extract = [*options, "--pixels", "pixels.h5", "--output", "activations.h5"]
    start = "from layerwise.cli import main; main()"

    def command(name, *arguments):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
        code = [sys.executable, "-c", start, name, *arguments]
        return subprocess.Popen(code, env=environment, stderr=subprocess.PIPE, text=True)

    def hidden():
        return [path for path in folder.rglob(".*") if path.is_file()]

    assert command("list-layers", *options, "--preprocessing", "preprocessing.json").wait() == 0
    running = command("extract-activations", *extract)
    while not (folder / ".activations-partial.journal").exists() and running.poll() is None:
        time.sleep(0.05)
    assert running.poll() is None  # its file is there, and 32 images of half a second are not done
    running.terminate()
    _, told = running.communicate()
    assert running.returncode == os.EX_TEMPFAIL, told
    assert "SIGTERM was received: 0 of 2 layers of tiny are done and kept; start it again" in told
    assert {path.name for path in hidden()} == {".activations-partial.h5", ".activations-partial.journal"}
    assert not (folder / "activations.h5").exists()


SWALLOWED = """
import gc, os, signal, sys, time, weakref
from pathlib import Path
from layerwise.cli import app as module
from layerwise.files import atomic_path

class Thing: pass

def command():
    with atomic_path("out"):
        thing = Thing()
        reference = weakref.ref(thing, lambda _: (signal.raise_signal(NUMBER), time.sleep(0)))
        del thing
        print("after", flush=True)
        time.sleep(20)

NUMBER = int(sys.argv[1])
module.app = command
module.main()
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stop_that_comes_in_a_callback_of_a_weak_reference_is_not_lost(tmp_path, number, status):
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED, str(int(number))], cwd=tmp_path, capture_output=True, text=True, timeout=15
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


# One class a fault: each runs as if nothing were wrong, and its scores would be of more than the image.
DEPENDENT = """
import torch
from torch import nn
from torch.nn import functional

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, stride=2), nn.Conv2d(4, 8, 3, stride=2)

    def forward(self, images):
        return self.second(self.between(self.first(images)))

class Dropped(Net):
    def between(self, x):
        return functional.dropout(x, 0.1)

class Centred(Net):
    def between(self, x):
        return x - x.mean(0)

class Trained(Net):
    def between(self, x):
        return x if self.first.weight.abs().max() < 1 else x - x.mean(0)
"""


@pytest.mark.parametrize(
    ("name", "told"), [("Dropped", "differs from run to run"), ("Centred", "depends on the other")]
)
def test_outputs_that_depend_on_more_than_the_image(folder, name, told):
    (folder / "dependent_networks.py").write_text(DEPENDENT)
    network = {"name": "tiny", "factory": f"dependent_networks:{name}", "preprocessing": {"size": 32, "resize": 36}}
    configure(folder, models=[network])
    fails(list_layers(), rf"layer 'second' \(Conv2d\) for an image {told}", folder, "layers.tsv", "preprocessing.json")


@pytest.mark.parametrize("way", ["extract", "stream", "sketch"])
def test_outputs_that_depend_on_more_than_the_image_with_weights_of_a_file(folder, way):
    (folder / "dependent_networks.py").write_text(DEPENDENT)
    source = {"factory": "dependent_networks:Trained", "weights": "trained.pth"}
    network = {"name": "tiny", **source, "preprocessing": {"size": 32, "resize": 36}}
    configure(folder, models=[network])
    pack()
    assert list_layers().returncode == 0  # before there are weights
    shapes = {"first.weight": (4, 3, 3, 3), "first.bias": (4,), "second.weight": (8, 4, 3, 3), "second.bias": (8,)}
    torch.save({name: 2 * torch.ones(shape) for name, shape in shapes.items()}, folder / "trained.pth")
    rated = ("--model", "tiny", "--ratings", "figrim", "--block", "001-002", "--pixels", "pixels.h5")
    options = (*rated, "--manifest", "layers.tsv", "--output", "out.parquet")
    done = extract() if way == "extract" else run(f"{way}-memorability", *options)
    fails(done, "'second' .*depends on the other images", folder, "activations.h5", "out.parquet")


def test_a_known_network_that_is_shown_another_size_is_listed_and_scored(folder):
    entry = {"name": "tiny", "model": "squeezenet1_1", "weights": "random", "preprocessing": {"size": 64, "resize": 64}}
    configure(folder, models=[entry])
    assert list_layers().returncode == 0
    pack(geometry="crop64to64-bilinear")
    assert extract().returncode == 0
    squeezenet = models.squeezenet1_1(weights=None)
    with LayerTap(squeezenet, ["features.0", "classifier.1"]) as tap:
        squeezenet(torch.zeros(1, 3, 64, 64))
    units = {layer.name: layer.units for layer in read_manifest(folder / "layers.tsv")}
    assert {name: output.shape[1] for name, output in tap.outputs.items()}.items() <= units.items()


def test_modules_that_a_library_added_after_the_study_are_left_out_of_a_list_made_anew(folder):
    entry = {"name": "tiny", "model": "inception_v3", "weights": "random", "preprocessing": {"size": 139}}
    configure(folder, models=[entry])
    assert list_layers().returncode == 0
    names = {layer.name for layer in read_manifest(folder / "layers.tsv")}
    assert "Conv2d_1a_3x3.conv" in names and not names & {"maxpool1", "maxpool2", "avgpool", "dropout"}


OWN = """
import random

import torch
from torch import nn

class Net(nn.Module):
    largest = 10**6

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.LazyConv2d(8, 3, stride=2), nn.LazyLinear(30)

    def forward(self, images):
        assert len(images) <= self.largest, "too many"
        return self.last(self.first(images).flatten(1))

class Few(Net):
    largest = 3

def half():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten()).half()

def drawn():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten())
    network[0].weight.data.copy_(torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(torch.seed() % 1000)))
    return network

def aside():
    network, scale = Net(), random.SystemRandom().random()
    network.first.register_forward_hook(lambda _module, _inputs, output: output * scale)
    return network

def loaded():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten())
    network[0].weight.data.copy_(torch.arange(216.0).view(8, 3, 3, 3))
    network[0].bias.data.copy_(torch.arange(8.0))
    return network
"""


def own(folder, name, **more):
    (folder / "own_networks_of_tests.py").write_text(OWN)
    source = {"factory": f"own_networks_of_tests:{name}", "preprocessing": {"size": 32, "resize": 36}}
    configure(folder, models=[{"name": "tiny", **source, **more}])


@pytest.mark.parametrize(("name", "stored"), [("Net", 2), ("half", 1)])  # what is flattened gives the same again
def test_lazy_and_half_networks_are_extracted(folder, name, stored):
    own(folder, name)
    assert list_layers().returncode == 0
    pack()
    assert extract().returncode == 0
    with h5py.File(folder / "activations.h5") as file:
        assert len(file["layers"]) == stored


def test_what_a_forward_raises_while_it_runs_is_told_with_its_place(folder):
    own(folder, "Few")
    assert list_layers().returncode == 0
    pack()
    told = r"on 32 images of 32 pixels: AssertionError: too many \(\S+own_networks_of_tests\.py, line 15\)"
    fails(extract(), told, folder, "activations.h5")


@pytest.mark.parametrize(
    ("name", "more", "told"),
    [
        ("loaded", {"weights": "random", "seed": 1}, "the same weights whatever the seed"),
        ("drawn", {}, "gives other weights at each call"),
        ("aside", {"weights": "later.pth"}, "'first' .* differs when the network is built again with the same weights"),
    ],
)
def test_factories_whose_weights_are_not_what_is_asked_for(folder, name, more, told):
    own(folder, name, **more)
    fails(list_layers(), told, folder, "layers.tsv", "preprocessing.json")
