import csv
import json
import subprocess
import sys

import pytest

from layerwise.interfaces import ModelSpec
from layerwise.models import registry


@pytest.mark.parametrize("spelling", ["resnet18", "ResNet18", "RESNET18"])
def test_finds_by_name_and_by_the_name_of_the_paper(spelling):
    assert registry.find(spelling).name == "resnet18"


def test_unknown_name_gives_the_nearest():
    with pytest.raises(ValueError, match="no network 'resnet81': did you mean resnet18"):
        registry.find("resnet81")


def test_unlike_any_name_still_lists_what_is_known():
    with pytest.raises(ValueError, match="layerwise knows alexnet"):
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
        reference = {row["constructor"]: row for row in csv.DictReader(handle, delimiter="\t")}
    counts = json.loads(shared("reference", "layer_counts.json").read_text())
    rows = [registry.find(name) for name in registry.names()]
    in_paper = [row for row in rows if row.in_paper]
    assert in_paper
    for row in in_paper:
        known = reference[row.constructor]
        assert (row.alias, row.url, row.sha256) == (
            known["table_name"],
            known["weights_url_now"],
            known["hash_now"],
        )
        assert row.preprocessing.mean == tuple(json.loads(known["mean"]))
        assert row.preprocessing.std == tuple(json.loads(known["std"]))
        assert (row.preprocessing.size, row.preprocessing.resize) == (
            int(known["input_size"]),
            int(known["resize"]),
        )
        assert row.layers == counts[row.alias]["leaf_ge25"]
        assert row.parameters == counts[row.alias]["params"]
        assert row.url.endswith(row.file)


@pytest.mark.parametrize(
    "module",
    [
        "layerwise.models.registry",
        "layerwise.models.preprocessing",
        "layerwise.models.weights",
        "layerwise.layers.manifest",
        "layerwise.layers.blocks",
        "layerwise.activations.planner",
        "layerwise.activations.store",
    ],
)
def test_planning_does_not_import_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
