"""Files of fine-tuned networks: what was written is read back, and what is no such file is refused."""

import json
import os
import stat
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from layerwise.finetuning import FinetuneSettings
from layerwise.finetuning.weights import KEY, FineTunedModel, load_finetuned, read_about, write_weights
from layerwise.interfaces import Geometry, ModelSpec, Preprocessing
from layerwise.models import build, find_classifiers, replace_head, resolve_preprocessing
from layerwise.models.seeds import seeded

RESNET = ModelSpec("net", "torchvision", "resnet18", "random")
TINY = ModelSpec("tiny", "timm", "test_resnet.r160_in1k", "random", preprocessing={"size": 64, "resize": 72})
SPECS = [
    RESNET,
    ModelSpec("squeezed", "torchvision", "squeezenet1_1", "imagenet"),
    TINY,
    ModelSpec("two-heads", "timm", "deit_tiny_distilled_patch16_224", "random", seed=3),
    ModelSpec("xception", "pretrainedmodels", "xception", "imagenet"),
    ModelSpec("efficient", "efficientnet_pytorch", "efficientnet-b0", "random", options={"image_size": 64}),
    ModelSpec("cornet", "cornet", "cornet_s", "imagenet"),
    ModelSpec("own", "factory", "tests.fixtures.networks:tiny", "built", options={"deep": [1, {"a": None}]}),
]


def about_of(spec: ModelSpec, classifiers: tuple[str, ...] = ("fc",), **changed: object) -> FineTunedModel:
    preprocessing = Preprocessing(64, 72, "bicubic", (0.1, 0.2, 0.3), (0.5, 0.6, 0.7), "BGR", 255.0)
    about = FineTunedModel(
        spec, classifiers, preprocessing, Geometry("crop", 72, 72, "bicubic"), "lamem", "memorability", "3",
        FinetuneSettings(learning_rate=1 / 3, accumulate=4), {"pixels": "abc"},
    )  # fmt: skip
    return replace(about, **changed)


def trained(spec: ModelSpec) -> tuple[torch.nn.Module, FineTunedModel]:
    network, expected = build(spec), resolve_preprocessing(spec)
    classifiers = find_classifiers(network, spec, expected.size)
    with seeded(9):
        replace_head(network, classifiers, 1)
        for tensor in network.state_dict().values():
            tensor.add_(1)
    return network, about_of(spec, classifiers, preprocessing=expected)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_what_a_file_says_is_read_back(spec, tmp_path):
    full = replace(spec, preprocessing=Preprocessing(9, 9, "bilinear", (0, 0, 0), (1, 1, 1)), head=4)
    for which in (spec, full):
        write_weights(tmp_path / "w.safetensors", {"a": torch.ones(2)}, about_of(which))
        assert read_about(tmp_path / "w.safetensors") == about_of(which)


def test_weights_are_read_back_into_the_same_network(tmp_path):
    network, about = trained(TINY)
    write_weights(tmp_path / "w.safetensors", network.state_dict(), about)
    again, said = load_finetuned(tmp_path / "w.safetensors")
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert said == about and not again.training
    assert torch.equal(again(images), network.eval()(images))
    assert again(images).shape == (2, 1)


OTHERS = [
    RESNET, SPECS[1], SPECS[3], SPECS[5],
    ModelSpec("inception", "pretrainedmodels", "bninception"),
    ModelSpec("cornet", "cornet", "cornet_z"),
    ModelSpec("own", "factory", "small_training:tiny", options={"channels": 4}, preprocessing={"size": 16}),
]  # fmt: skip


@pytest.mark.parametrize("spec", OTHERS, ids=lambda spec: spec.name)
def test_networks_of_other_libraries_and_heads_are_built_without_their_pretrained_weights(spec, tmp_path):
    network, about = trained(replace(spec, weights="built"))
    about = replace(about, spec=replace(spec, weights="/nowhere/pretrained.pth"))
    write_weights(tmp_path / "w.safetensors", network.state_dict(), about)
    again, _ = load_finetuned(tmp_path / "w.safetensors")
    assert again.state_dict().keys() == network.state_dict().keys()
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in network.state_dict().items())


def test_the_same_content_gives_the_same_bytes_and_tied_tensors_are_written_under_each_name(tmp_path):
    tied = torch.randn(3, 4)
    weights = {"b": tied, "a": tied, "part": tied[1:], "turned": tied.T, "whole": torch.tensor(7)}
    for name in ("1.safetensors", "2.safetensors"):
        write_weights(tmp_path / name, weights, about_of(RESNET))
    assert (tmp_path / "1.safetensors").read_bytes() == (tmp_path / "2.safetensors").read_bytes()
    read = safetensors.torch.load_file(tmp_path / "1.safetensors")
    assert read.keys() == weights.keys() and all(torch.equal(read[name], weights[name]) for name in weights)


def test_weights_may_be_read_by_whom_the_users_mask_lets(tmp_path):
    before = os.umask(0o027)
    try:
        write_weights(tmp_path / "w.safetensors", {"a": torch.ones(2)}, about_of(RESNET))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "w.safetensors").stat().st_mode) == 0o640


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    network, about = trained(TINY)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    write_weights(path, network.state_dict(), about)
    return path


def rewritten(written, path, change):
    """The same file with another head, or other tensors, as an edit would leave it."""
    with safetensors.safe_open(written, "pt") as file:
        head, weights = json.loads(file.metadata()[KEY]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(head, weights)
    safetensors.torch.save_file(weights, path, {KEY: json.dumps(head)})
    return path


def test_rewritten_without_a_change_it_is_read(written, tmp_path):
    load_finetuned(rewritten(written, tmp_path / "w.safetensors", lambda head, weights: None))


EDITS = {
    "a value": (lambda head, weights: weights["conv1.0.weight"][0].add_(1e-6), "damaged or was edited"),
    "no tensor": (lambda head, weights: weights.pop("conv1.0.weight"), "damaged or was edited"),
    "text": (lambda head, weights: head.update(about=head["about"].replace("lamem", "mine")), "damaged or was edited"),
    "version": (lambda head, weights: head.update(version=2), "version 2 .* reads 1"),
    "no checksum": (lambda head, weights: head.pop("sha256"), "edited or is damaged"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_file_is_refused(edit, written, tmp_path):
    change, sentence = EDITS[edit]
    with pytest.raises(ValueError, match=sentence):
        load_finetuned(rewritten(written, tmp_path / "w.safetensors", change))


@pytest.mark.parametrize(
    ("field", "value"), [("split", 3), ("classifiers", "fc"), ("settings", {"loss": "mean"}), ("spec", {})]
)
def test_what_a_file_says_must_be_of_the_right_kind(field, value, written, tmp_path):
    def change(head, weights):
        head["about"] = json.dumps(json.loads(head["about"]) | {field: value})

    with pytest.raises(ValueError, match=rf"edited or is damaged: .*\({field}"):
        read_about(rewritten(written, tmp_path / "w.safetensors", change))


def test_a_damaged_file_is_refused_wherever_the_damage_is(written, tmp_path):
    whole, path = bytearray(written.read_bytes()), tmp_path / "w.safetensors"
    for place in (0, 20, 1000, len(whole) // 2, len(whole) - 1):
        whole[place] ^= 1
        path.write_bytes(whole)
        with pytest.raises(ValueError, match=r"w\.safetensors"):
            load_finetuned(path)
        whole[place] ^= 1
    path.write_bytes(whole[:-7])
    with pytest.raises(ValueError, match="damaged"):
        load_finetuned(path)


def test_files_of_others_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(ValueError, match="no file"):
        read_about(path)
    with pytest.raises(ValueError, match="no file"):
        read_about(tmp_path)
    safetensors.torch.save_file({"a": torch.ones(1)}, path)
    with pytest.raises(ValueError, match="no fine-tuned network"):
        load_finetuned(path)
    path.write_text("image,score\n")
    with pytest.raises(ValueError, match="no file of a fine-tuned network"):
        read_about(path)


def test_weights_of_another_network_do_not_fit(written, tmp_path):
    network, _ = trained(TINY)
    write_weights(tmp_path / "w.safetensors", network.state_dict(), about_of(RESNET))
    with pytest.raises(ValueError, match="do not fit the network"):
        load_finetuned(tmp_path / "w.safetensors")
    write_weights(tmp_path / "w.safetensors", network.state_dict(), about_of(RESNET, ("head",)))
    with pytest.raises(ValueError, match="does not fit what 'resnet18' is now"):
        load_finetuned(tmp_path / "w.safetensors")


def test_nothing_is_written_that_could_not_be_read_back(tmp_path):
    odd = replace(RESNET, options={"sides": (1, 2)})
    with pytest.raises(ValueError, match="cannot be read back from JSON"):
        write_weights(tmp_path / "w.safetensors", {"a": torch.ones(1)}, about_of(odd))
    assert list(tmp_path.iterdir()) == []
