"""layerwise: how well each layer of an image network predicts the brain, and how memorable an image is."""

__version__ = "0.1.0"
