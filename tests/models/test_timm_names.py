"""Names of timm's networks, told from its text."""

import pytest
import timm
from timm.models import _registry

from layerwise.models.timm_names import is_unknown


def test_no_network_that_timm_has_counts_as_unknown():
    names = [*timm.list_models(), *timm.list_pretrained(), *_registry._deprecated_models]
    assert len(names) > 1000 and not any(map(is_unknown, names))


@pytest.mark.parametrize("name", ["resnet1888", "convnext_tinny.fb_in1k", "resnet", ""])
def test_what_timm_does_not_have_is_unknown(name):
    assert not timm.is_model(name) and is_unknown(name)
