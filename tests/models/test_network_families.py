"""Each network of the registry belongs to one family."""

from collections import Counter

from layerwise.models import registry
from layerwise.models.families import MEMBERS, family_of


def test_every_network_of_the_registry_is_in_one_family():
    counted = Counter(member for members in MEMBERS.values() for member in members)
    assert set(counted) == set(registry.names())
    assert set(counted.values()) == {1}


def test_another_network_is_a_family_by_itself():
    assert (family_of("vgg11_bn"), family_of("mine")) == ("VGG", "mine")
