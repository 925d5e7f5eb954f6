"""What may be chosen of networks whose layers are known, told without building them."""

import pytest

from layerwise.analyses.proof import find_untold
from layerwise.layers.patterns import choosable_names, find_unmatched, read_modules, write_modules
from layerwise.models import registry


@pytest.mark.parametrize(
    ("network", "pattern"),
    [
        ("resnet18", "layer?"),  # containers
        ("resnet18", "**.conv1"),
        ("efficientnet_b0", "_blocks.*._se_expand"),  # of a single child, which has few units
        ("dpn68", "features.conv2_1.c1x1_a.act"),  # another name of a module
        ("inception_v3", "avgpool"),  # in no manifest, since a library added it
        ("no-such-network", "anything"),  # of which nothing is known
    ],
)
def test_patterns_that_give_a_layer_are_not_told(network, pattern):
    assert list(find_unmatched(network, [pattern])) == []


@pytest.mark.parametrize(
    ("network", "pattern", "near"),
    [
        ("resnet18", "layr4", "layer4, "),
        ("resnet18", "layer4.*.*.*.*", "layer4."),
        ("efficientnet_b0", "_blocks", "_blocks.9, _blocks.8, _blocks.7"),  # a list, which never runs
        ("alexnet", "§", "features, avgpool, classifier"),
    ],
)
def test_patterns_that_give_none_are_told_with_the_nearest_names(network, pattern, near):
    (told,) = find_unmatched(network, ["**", pattern])
    assert told.startswith(f"layers: no layer matches {pattern!r}: the nearest are {near}")


@pytest.mark.parametrize("network", ["dpn68", "efficientnet_b0", "squeezenet1_1"])
def test_what_manifests_do_not_tell_is_what_networks_show(network):
    assert find_untold(registry.find(network)) == [row for row in read_modules() if row.network == network]


@pytest.mark.slow
def test_what_all_manifests_do_not_tell(tmp_path):
    rows = [registry.find(name) for name in registry.names()]
    write_modules((one for row in rows if choosable_names(row.name) for one in find_untold(row)), tmp_path / "all.tsv")
    written = (tmp_path / "all.tsv").read_text().splitlines()
    assert sorted(written[1:]) == sorted("\t".join(row) for row in read_modules())
