"""Networks, images and scores come from tests/fixtures."""

from rated_study import device, layers, network, one_thread, preprocessing, study

__all__ = ["device", "layers", "network", "one_thread", "preprocessing", "study"]
