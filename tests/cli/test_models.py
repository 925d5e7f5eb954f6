import json
import re
import resource
import subprocess
import sys
from dataclasses import replace

import pytest
import timm
import torch
from PIL import Image
from typer.testing import CliRunner

from layerwise.analyses import proof
from layerwise.cli import models as commands
from layerwise.cli.app import app
from layerwise.cli.tabular import line_width
from layerwise.models import build, registry


def run(*arguments):
    return CliRunner().invoke(app, ["models", *map(str, arguments)], env={"COLUMNS": "300"})


def said(result):
    return str(result.exception)


def test_list_has_one_object_a_network():
    found = [json.loads(line) for line in run("list", "--format", "json").stdout.splitlines()]
    assert [row["name"] for row in found] == list(registry.names())
    assert found[0] == {
        "name": "alexnet",
        "library": "torchvision",
        "layers": 21,
        "parameters": 61100840,
        "penultimate": 4096,
        "input_size": 224,
        "top1": 56.522,
    }
    lines = run("list").stdout.splitlines()
    assert len(lines) == len(found) + 1
    assert lines[-1].split() == ["tf_efficientnet_lite0", "timm", "191", "4652008", "1280", "224", "-"]


def test_show_gives_all_facts_and_those_that_are_lacking():
    text = run("show", "cornet_rt", "nasnetalarge").stdout
    assert "cornet_rt-933c001c.pth" in text and "unverified       top1" in text
    assert "averages in zeros at the borders" in text
    text = run("show", "resnet18", "efficientnet_b3").stdout
    assert "unverified       same_as_2020" in text and "resnet18-5c106cde.pth" in text
    assert "only says that the values are equal" in text
    assert "top1_stated      81.1" in text and "gives 80.8" in text
    assert json.loads(run("show", "dpn92", "--format", "json").stdout)["mirror"]["network"] == "dpn92.mx_in1k"


@pytest.mark.parametrize("command", ["show", "fetch", "check", "accuracy"])
def test_unknown_name_gives_the_nearest(command, tmp_path):
    more = ["--imagenet", tmp_path] if command == "accuracy" else []
    result = run(command, "resnet81", *more)
    assert result.exit_code == 1 and "did you mean resnet18" in said(result)


def test_other_mistakes(tmp_path):
    assert "no format 'yaml': text or json" in said(run("list", "--format", "yaml"))
    assert "name some networks, or give --all" in said(run("fetch", "--to", tmp_path))
    assert "not both" in said(run("check", "alexnet", "--all"))


def test_fetch_says_what_it_could_not_have(tmp_path, monkeypatch):
    from layerwise.models import downloads

    monkeypatch.setattr(downloads, "_fetch", lambda address, target: target.write_bytes(b"?"))
    result = run("fetch", "tf_efficientnet_lite0", "alexnet", "--to", tmp_path)
    assert result.exit_code == 0
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == ["tf_efficientnet_lite0", "alexnet"]

    def offline(address, target):
        raise ValueError("no route to host")

    monkeypatch.setattr(downloads, "_fetch", offline)
    result = run("fetch", "resnet18", "dpn68", "--to", tmp_path)
    assert result.exit_code == 1
    for part in ("resnet18-f37072fd.pth: no route", "model.safetensors: no route", "2 networks have no weights"):
        assert part in said(result)


def test_fetch_gives_json(tmp_path, monkeypatch):
    from layerwise.models import downloads

    def offline_for_some(address, target):
        if "resnet18" in target.name:
            raise ValueError("no route to host")
        target.write_bytes(b"?")

    monkeypatch.setattr(downloads, "_fetch", offline_for_some)
    result = run("fetch", "alexnet", "resnet18", "--to", tmp_path, "--format", "json")
    fetched, failed = [json.loads(line) for line in result.stdout.splitlines()]
    assert fetched == {"name": "alexnet", "path": str(tmp_path / registry.find("alexnet").file)}
    assert failed.keys() == {"name", "error"} and failed["name"] == "resnet18"
    assert "no route to host" in failed["error"]
    assert result.exit_code == 1 and "1 network has no weights" in said(result)
    assert "no format 'yaml'" in said(run("fetch", "alexnet", "--to", tmp_path, "--format", "yaml"))


def test_manifest_lists_layers_anew(tmp_path):
    assert run("manifest", "inception_v3", "--to", tmp_path).exit_code == 0
    from layerwise.layers import shipped_manifest

    assert (tmp_path / "inception_v3.tsv").read_text() == shipped_manifest("inception_v3").read_text()


def test_check_proves_a_network(tmp_path):
    row = json.loads(run("check", "squeezenet1_1", "--weights", tmp_path, "--format", "json").stdout)
    assert row == {
        "name": "squeezenet1_1",
        "library": "torchvision",
        "input_size": 224,
        "top1": 58.178,
        "parameters": 1235496,
        "layers": 57,
        "hooks": "57 give their units",
        "penultimate": 512,
        "head": "trains, both signs",
        "preprocessing": "as the library",
        "mirror": "none",
        "weights": f"not downloaded: no squeezenet1_1-b8a52dc0.pth in {tmp_path}",
        "skipped": "-",
        "accuracy": "not provable here: no ImageNet",
        "unverified": "same_as_2020",
    }
    line = run("check", "efficientnet_b0").stdout
    assert "131 layers equal" in line and "as documented" in line and "as the library" not in line
    lines = run("check", "tf_efficientnet_lite0").stdout.splitlines()
    assert lines[0].split() == list(proof.COLUMNS)
    assert "official, from the package" in lines[1] and lines[1].endswith("top1")
    assert [line.split()[0] for line in lines[3:-2]] == list(proof.LEGEND)
    narrow = commands._proof(dict.fromkeys(proof.COLUMNS, "x " * 60), wide=False).splitlines()
    assert [line.split()[0] for line in narrow if line.strip() and line[0] != " "] == list(proof.COLUMNS)
    assert max(map(len, narrow)) <= line_width()
    assert re.fullmatch(r"1 network, 191 layers; 0 min \d+ s, peak memory \d\.\d\d GB", lines[-1])


def test_check_keeps_its_table_also_of_what_is_wrong(tmp_path, monkeypatch):
    row = registry.find("squeezenet1_1")
    monkeypatch.setattr(commands, "_chosen", lambda *_: [replace(row, parameters=7)])
    result = run("check", "squeezenet1_1", "--output", tmp_path / "table.md")
    assert result.exit_code == 1
    header, rule, cells = (tmp_path / "table.md").read_text().splitlines()[-3:]
    assert header.split(" | ")[1:] == [*proof.COLUMNS[1:-1], f"{proof.COLUMNS[-1]} |"]
    assert rule.count("---") == len(proof.COLUMNS)
    assert cells.startswith("| squeezenet1_1 | FAILED parameters 1235496, known is 7 | 57 |")
    assert "1 network, 57 layers; 0 min" in (tmp_path / "table.md").read_text()


@pytest.mark.parametrize("command", ["check", "accuracy"])
def test_folder_of_weights_that_is_not_there(command, tmp_path):
    more = ["--imagenet", tmp_path] if command == "accuracy" else []
    result = run(command, "alexnet", "--weights", tmp_path / "nowhere", *more)
    assert result.exit_code == 1
    assert "no folder of weights" in said(result) and "models fetch --to" in said(result)


def test_show_and_layers_take_any_network_of_timm():
    row = json.loads(run("show", "convnext_atto", "--format", "json").stdout)
    listed = json.loads(run("list", "--format", "json").stdout.splitlines()[0])
    assert row.keys() > listed.keys()
    assert (row["library"], row["penultimate"], row["classifier"]) == ("timm", 320, "head.fc")
    assert row["parameters"] == sum(value.numel() for value in timm.create_model("convnext_atto").parameters())
    text = run("show", "crossvit_tiny_240", "sequencer2d_s").stdout
    assert "classifier       head.0, head.1" in text and "penultimate      288" in text
    assert "(LSTM) gives tuple instead of a tensor" in text
    result = CliRunner().invoke(app, ["layers", "convnext_atto"])
    assert "no list of layers ships for timm's 'convnext_atto'" in result.stderr
    header, *layers, end = result.stdout.splitlines()
    assert header == "layer\tclass\tshape\tunits\tdepth\tsame_as\treduced" and len(layers) == row["layers"]
    assert end.startswith(f"# end: {len(layers)} layers, ")
    left = CliRunner().invoke(app, ["layers", "convnext_atto", "--skipped"]).stdout
    assert "stages.0.blocks.0\tConvNeXtBlock\tholds other modules, and is not chosen by `layers`\n" in left
    assert "stages.0.blocks.0:add\tfunction\tis no module, but a function\n" in left
    result = CliRunner().invoke(app, ["layers", "sequencer2d_s"])
    assert "left out: stages.0.blocks.0.rnn_tokens.rnn_v (LSTM) gives tuple instead of a tensor" in result.stderr
    assert "did you mean resnet18" in str(CliRunner().invoke(app, ["layers", "resnet81"]).exception)
    assert "; timm has convnext_atto" in said(run("show", "convnext_atoo"))


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("parameters", {"parameters": 1235497}),
        ("layers", {"layers": 58}),
        ("layers", {"later_modules": ("classifier.0",)}),
        ("penultimate", {"penultimate_dim": 511}),
        ("penultimate", {"classifier": "classifier.3"}),
        ("head", {"classifier": "classifier.0"}),
        ("preprocessing", {"std": (0.229, 0.224, 0.226)}),
        ("preprocessing", {"resize": 257}),
        ("preprocessing", {"channels": "BGR"}),
        ("mirror", {"mirror": registry.Mirror("legacy_seresnet50.in1k", "", "", "")}),
    ],
)
def test_check_finds_what_is_wrong(column, change, monkeypatch):
    row = registry.find("squeezenet1_1")
    facts = {key: value for key, value in change.items() if hasattr(row, key)}
    expected = replace(row.preprocessing, **{key: value for key, value in change.items() if key not in facts})
    row = replace(row, preprocessing=expected, **facts)
    monkeypatch.setattr("layerwise.models.heads.row_of", lambda _: row)
    monkeypatch.setattr("layerwise.models.preprocessing.row_of", lambda _: row)
    monkeypatch.setattr(commands, "_chosen", lambda *_: [row])
    result = run("check", "squeezenet1_1", "--format", "json")
    assert json.loads(result.stdout)[column].startswith("FAILED")
    assert result.exit_code == 1 and f"squeezenet1_1: {column} FAILED" in said(result)


def test_weights_of_another_network_fail_the_check(tmp_path):
    row = registry.find("squeezenet1_1")
    torch.save(build("squeezenet1_0").state_dict(), tmp_path / row.file)
    assert "not the published file" in said(run("check", "squeezenet1_1", "--weights", tmp_path))


@pytest.fixture
def imagenet(tmp_path):
    for number in range(6):
        Image.new("RGB", (300, 260), (40 * number, 90, 10)).save(tmp_path / f"{number}.png")
    (tmp_path / "labels.txt").write_text("".join(f"{number}.png {number}\n" for number in range(6)))
    return tmp_path


def test_check_measures_accuracy_where_it_can(imagenet, monkeypatch):
    images = ["--imagenet", imagenet, "--labels", imagenet / "labels.txt"]

    def cell(name, **changes):
        monkeypatch.setattr(commands, "_chosen", lambda *_: [replace(registry.find(name), **changes)])
        return json.loads(run("check", name, *images, "--format", "json").stdout)["accuracy"]

    few = cell("tf_efficientnet_lite0", top1=50.0)
    assert few.startswith("not provable: ") and few.endswith(" of 6 images, which are too few")
    assert cell("tf_efficientnet_lite0").endswith("of 6 images, but none is published")
    assert cell("alexnet") == "not provable here: weights not downloaded"
    monkeypatch.setattr("layerwise.analyses.accuracy.ENOUGH", 1)
    assert cell("tf_efficientnet_lite0", top1=99.9).startswith("FAILED tf_efficientnet_lite0 is right about")
    assert cell("tf_efficientnet_lite0", top1=0.1).endswith("of 6 images, published 0.10")


def test_accuracy_is_measured_written_and_held_against_what_is_published(imagenet, monkeypatch):
    arguments = ["accuracy", "squeezenet1_1", "--imagenet", imagenet, "--labels", imagenet / "labels.txt"]
    arguments += ["--device", "cpu", "--batch-size", 4, "--file", "random", "--output", imagenet / "result.json"]
    result = run(*arguments)
    assert result.exit_code == 0
    found = json.loads((imagenet / "result.json").read_text())
    assert found == json.loads(result.stdout)
    assert (found["model"], found["n_images"], found["passed"]) == ("squeezenet1_1", 6, None)
    assert 0 <= found["top1"] <= found["top5"] <= 100

    monkeypatch.setattr(proof, "build", lambda *_, **__: build("squeezenet1_1"))
    monkeypatch.setattr("layerwise.analyses.accuracy.ENOUGH", 1)
    arguments[arguments.index("random")] = "imagenet"
    result = run(*arguments)
    assert result.exit_code == 1 and "published is 58.18 %" in said(result)
    assert json.loads((imagenet / "result.json").read_text())["passed"] is False


def test_layers_answers_at_once_and_without_torch():
    code = "import sys; from layerwise.cli.app import app\ntry: app(['layers', 'nasnetalarge'])\nexcept SystemExit: "
    code += "sys.exit('torch' in sys.modules)"
    took = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
        lines = done.stdout.splitlines()  # a head, the layers, and the line by which a cut list is known
        assert done.returncode == 0 and len(lines) == 1111 and lines[-1].startswith("# end: 1109 layers, ")
    assert min(took) < 0.5  # of a core's time: other work on the machine does not count
