"""What the proof of a network finds where a fact is wrong."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from layerwise.analyses import proof
from layerwise.analyses.accuracy import Accuracy
from layerwise.files import hash_file
from layerwise.interfaces import ModelSpec, no_progress
from layerwise.models import build, normalise, registry, replace_head
from layerwise.models.adapters import ADAPTERS


def test_step_of_no_size_fails_the_check_of_a_head_after_batch_norm(monkeypatch):
    row = registry.find("resnet18")
    assert proof._head(build("resnet18"), row) == "trains, both signs"
    monkeypatch.setattr(proof, "STEP", 0.0)
    with pytest.raises(ValueError, match="a step changes the weight: False"):
        proof._head(build("resnet18"), row)
    monkeypatch.setattr(proof, "STEP", float("inf"))
    with pytest.raises(ValueError, match="a step changes the output: False"):
        proof._head(build("resnet18"), row)


def test_head_that_gives_zeros_fails_the_check(monkeypatch):
    def silent(network, classifier):
        network = replace_head(network, classifier)
        for parameter in network.get_submodule(classifier).parameters():
            torch.nn.init.zeros_(parameter)
        return network

    monkeypatch.setattr(proof, "replace_head", silent)
    with pytest.raises(ValueError, match="the output is finite and not zero: False"):
        proof._head(build("resnet18"), registry.find("resnet18"))


def test_network_that_cannot_be_built_fails_its_cells_and_no_other(monkeypatch):
    def broken(name):
        raise KeyError("fc.weight")

    monkeypatch.setattr(proof, "build", broken)
    cells = proof.prove(registry.find("squeezenet1_1"))
    assert {column for column in cells if proof.failed(cells[column])} == {"parameters", "hooks", "penultimate", "head"}
    assert cells["parameters"] == "FAILED KeyError: 'fc.weight'"
    assert cells["layers"] == "57"


def test_cells_say_why_there_is_no_mirror_and_no_file():
    refused, packaged = registry.find("nasnetalarge"), registry.find("tf_efficientnet_lite0")
    assert proof._mirror(refused) == f"not offered: {refused.no_mirror}" and "averages in zeros" in refused.no_mirror
    assert proof._weights(refused, None) == "not downloaded: no folder of weights is given"
    assert proof._accuracy(refused, None, [(Path("a.png"), 0)]) == "not provable here: weights not downloaded"
    absent = replace(packaged, mirror=None)
    assert proof._why_not_here(absent, None) == f"no {absent.file} in the package {absent.package}"


@pytest.mark.parametrize("name", ["cornet_z", "efficientnet_b0", "alexnet", "nasnetalarge"])
def test_preprocessing_says_whose_it_is_compared_with(name):
    ours = name in ("cornet_z", "efficientnet_b0")
    assert proof._preprocessing(registry.find(name)) == ("as documented" if ours else "as the library")


def test_accuracy_is_measured_on_photographs_as_libraries_read_them(tmp_path, monkeypatch, rng):
    """A camera that lay on its side is not set upright: no published accuracy did so."""
    path, exif = tmp_path / "photograph.jpg", Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rng.integers(0, 256, (280, 350, 3), dtype=np.uint8)).save(path, exif=exif)
    row, readers = registry.find("squeezenet1_1"), []

    def note(network, images, expected, read, *rest):
        readers.append(read)
        return Accuracy(0, 0, 1)

    monkeypatch.setattr(proof, "measure_accuracy", note)
    proof.measure(ModelSpec(row.name, row.library, row.constructor, "random"), None, [], None, 1, "cpu", no_progress)
    expected = ADAPTERS[row.library].transform(row.constructor)(Image.open(path).convert("RGB"))
    found = normalise(torch.from_numpy(readers[0](path).copy())[None], row.preprocessing)[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_files_of_2020_and_of_today_are_compared_where_both_are(tmp_path, monkeypatch):
    row = registry.find("squeezenet1_1")
    network = build(row.name)
    torch.save(network.state_dict(), tmp_path / row.file)
    torch.save(network.state_dict(), tmp_path / row.file_2020, _use_new_zipfile_serialization=False)
    hashes = {"sha256": hash_file(tmp_path / row.file), "sha256_2020": hash_file(tmp_path / row.file_2020)}
    row = replace(row, **hashes)
    monkeypatch.setattr("layerwise.models.weights.row_of", lambda _: row)
    assert proof._weights(row, tmp_path) == "official, its values are those of the file of 2020"
    network.classifier[1].bias.data += 1
    torch.save(network.state_dict(), tmp_path / row.file_2020)
    row = replace(row, sha256_2020=hash_file(tmp_path / row.file_2020))
    with pytest.raises(ValueError, match=r"holds other values than squeezenet1_1-f364aa15\.pth"):
        proof._weights(row, tmp_path)
    (tmp_path / row.file).unlink()
    assert proof._weights(row, tmp_path) == "official, the file of 2020"
