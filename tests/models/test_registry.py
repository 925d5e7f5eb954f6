import csv
import json
import math
import subprocess
import sys
from inspect import signature

import pytest

from layerwise.interfaces import ModelSpec
from layerwise.models import registry


@pytest.mark.parametrize("spelling", ["resnet18", "ResNet18", "RESNET18"])
def test_finds_by_name_and_by_the_name_of_the_paper(spelling):
    assert registry.find(spelling).name == "resnet18"


def test_unknown_name_gives_the_nearest():
    with pytest.raises(ValueError, match="no network 'resnet81': did you mean resnet18"):
        registry.find("resnet81")
    with pytest.raises(ValueError, match="in a config, any network of timm is given as `timm: its name`"):
        registry.find("resnet81")


def test_unlike_any_name_still_lists_what_is_known():
    with pytest.raises(ValueError, match=r"there is alexnet, .*cornet_z"):
        registry.find("zzzzzzzz")


def test_every_name_finds_its_own_row_and_spec():
    assert len(set(registry.names())) == len(registry.names())
    for name in registry.names():
        row = registry.find(name)
        assert row.name == name
        assert registry.row_of(ModelSpec("own", row.library, row.constructor)) == row


def test_own_network_has_no_row():
    assert registry.row_of(ModelSpec("own", "factory", "package:function")) is None


def test_facts_are_those_that_were_verified(shared):
    with shared("reference", "models.tsv").open(newline="") as handle:
        reference = {row["table_name"].removesuffix(" [sic]"): row for row in csv.DictReader(handle, delimiter="\t")}
    rows = [registry.find(name) for name in registry.names()]
    in_paper = {row.name: row for row in rows if row.in_paper}
    assert len(reference) == len(in_paper) == 64
    assert {registry.find(name).name for name in reference} == in_paper.keys()
    for table_name, known in reference.items():
        row = registry.find(table_name)
        assert row.constructor in known["constructor"]
        assert row.library in known["library"].lower()
        assert row.url == (known["weights_url_now"] or known["weights_url_2020"])
        assert row.sha256 == (known["hash_now"] or known["hash_2020"])
        assert row.preprocessing.mean == pytest.approx(json.loads(known["mean"]), abs=1e-6)
        assert row.preprocessing.std == pytest.approx(json.loads(known["std"]), abs=1e-6)
        assert (row.preprocessing.size, row.preprocessing.resize) == (
            int(known["input_size"]),
            int(known["resize"].split("x")[0]),
        )
        assert (row.preprocessing.interpolation, row.preprocessing.channels) == (
            known["interp"],
            known["colour"],
        )
        assert row.preprocessing.maximum == (255 if known["range"] == "0-255" else 1)
        assert row.layers == int(known["leaf_ge25"])
        assert row.parameters == int(known["params"])
        assert row.penultimate_dim == int(known["penultimate_dim"])
        assert row.classifier == known["classifier"].split()[0]
        stated = float(known["top1_now"] or known["top1"] or 0) or None
        doubtful = "top1: paper value" in known["conf"] or row.name == "cornet_r"
        assert (row.top1, row.top1_stated) == ((None, stated) if doubtful else (stated, None))
        assert ("top1" in row.unverified) == (doubtful or stated is None)
        anew = known["same_file"].startswith("no")
        assert row.file_2020 == (known["weights_url_2020"].rpartition("/")[2] if anew else "")
        assert row.sha256_2020 == (known["hash_2020"] if anew else "")
        assert ("same_as_2020" in row.unverified) == ("unverified: torchvision has written" in row.note) == anew
        assert row.preprocessing.crop == ("squash" if "without aspect" in known["resize"] else "centre")
        assert row.url.endswith(row.file)


def test_the_name_that_the_paper_misprints_says_so(caplog):
    with caplog.at_level("WARNING"):
        assert registry.find("DualPathNet131").name == "dpn131"
        assert not caplog.records
        assert registry.find("DualPathNet113").name == "dpn131"
    assert "DualPathNet113" in caplog.text and "no library has" in caplog.text


def test_pretrainedmodels_states_the_same():
    import pretrainedmodels
    from pretrainedmodels.utils import TransformImage

    default = signature(TransformImage).parameters["scale"].default
    others = []
    rows = [row for row in map(registry.find, registry.names()) if row.library == "pretrainedmodels"]
    assert len(rows) == 24
    for row in rows:
        (stated,) = (
            setting
            for name, setting in pretrainedmodels.pretrained_settings[row.constructor].items()
            if name in ("imagenet", "imagenet+5k")
        )
        expected = row.preprocessing
        assert (stated["url"], stated["input_size"]) == (row.url, [3, expected.size, expected.size])
        assert (tuple(stated["mean"]), tuple(stated["std"])) == (expected.mean, expected.std)
        assert (stated["input_space"], stated["input_range"][1]) == (expected.channels, expected.maximum)
        scale = stated.get("scale", default)
        assert expected.resize == math.floor(expected.size / scale)
        if scale != default:
            others.append((row.name, scale))
    assert others == [("xception", 0.8975)]


def test_torchvision_states_the_same():
    from torchvision.models import get_model_weights

    rows = [row for row in map(registry.find, registry.names()) if row.library == "torchvision"]
    assert len(rows) == 31
    for row in rows:
        stated = get_model_weights(row.constructor)["IMAGENET1K_V1"]
        transform = stated.transforms()
        expected = row.preprocessing
        assert stated.url == row.url
        assert stated.meta["_metrics"]["ImageNet-1K"]["acc@1"] == row.top1
        assert (transform.resize_size, transform.crop_size) == ([expected.resize], [expected.size])
        assert (tuple(transform.mean), tuple(transform.std)) == (expected.mean, expected.std)
        assert transform.interpolation.value == expected.interpolation


def test_timm_states_the_same():
    from timm.models import get_pretrained_cfg

    rows = [row for row in map(registry.find, registry.names()) if row.library == "timm"]
    assert len(rows) == 1
    for row in rows:
        stated, expected = get_pretrained_cfg(row.constructor), row.preprocessing
        assert stated.input_size == (3, expected.size, expected.size)
        assert (math.floor(expected.size / stated.crop_pct), stated.crop_mode) == (expected.resize, "center")
        assert (stated.mean, stated.std, stated.interpolation) == (expected.mean, expected.std, expected.interpolation)


def test_efficientnet_pytorch_states_the_same():
    from efficientnet_pytorch import EfficientNet
    from efficientnet_pytorch.utils import url_map

    rows = [row for row in map(registry.find, registry.names()) if row.library == "efficientnet_pytorch"]
    assert len(rows) == 5
    for row in rows:
        assert url_map[row.constructor] == row.url
        assert EfficientNet.get_image_size(row.constructor) == row.preprocessing.size


def test_eleven_files_are_not_those_of_the_study_and_seven_accuracies_are_not_known():
    rows = [row for row in map(registry.find, registry.names()) if row.in_paper]
    assert sum(bool(row.file_2020) for row in rows) == 11
    assert sum(row.top1 is None for row in rows) == 7
    assert {row.name for row in rows if "mirror_values" in row.unverified}.isdisjoint({"xception", "se_resnet50"})
    assert sum("mirror_values" in row.unverified for row in rows) == 16


def test_a_copy_that_is_not_the_same_network_is_not_offered():
    refused = [row for row in map(registry.find, registry.names()) if row.no_mirror]
    assert {row.name for row in refused} == {"nasnetalarge", "pnasnet5large"}
    assert all(row.mirror is None and "timm's" in row.no_mirror for row in refused)


def test_mirrors_are_where_timm_says_they_are():
    import timm

    rows = [row for row in map(registry.find, registry.names()) if row.mirror]
    assert len(rows) == 20
    for row in rows:
        stated = timm.get_pretrained_cfg(row.mirror.network)
        if row.mirror.sha256:
            assert stated.url == row.mirror.url
            assert row.mirror.sha256 in row.mirror.file == row.mirror.url.rpartition("/")[2]
        else:
            assert f"/{stated.hf_hub_id}/resolve/" in row.mirror.url


@pytest.mark.parametrize(
    "module",
    [
        "layerwise.models.registry",
        "layerwise.models.preprocessing",
        "layerwise.models.weights",
        "layerwise.models.downloads",
        "layerwise.layers.manifest",
        "layerwise.layers.blocks",
        "layerwise.activations.parts",
        "layerwise.activations.store",
    ],
)
def test_planning_does_not_import_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
