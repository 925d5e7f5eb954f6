"""A network of a study, and its layers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from layerwise.interfaces.images import Preprocessing


@dataclass(frozen=True)
class ModelSpec:
    """One network of a study, resolved: everything needed to build it again.

    Parameters
    ----------
    name : str
        Name in the study; it names the folder of the results.
    library : str
        The adapter that builds it: "torchvision", "pretrainedmodels", "efficientnet_pytorch", "cornet", "timm" or
        "factory".
    constructor : str
        The library's name of the network; for "factory", "package.module:function".
    weights : str
        "imagenet" (the official ones), "random" (an untrained control) or the path of a local file.
    seed : int
        Seed of random weights.
    options : dict
        Keyword arguments for the constructor.
    preprocessing : Preprocessing or mapping or None
        What the network expects of its input: all of it, or some of its fields, the others being the library's own.
        None: the library's own.
    head : int or None
        Units of a new linear layer in place of the classifier, as for fine-tuning; None: the classifier as it is.
    """

    name: str
    library: Literal["torchvision", "pretrainedmodels", "efficientnet_pytorch", "cornet", "timm", "factory"]
    constructor: str
    weights: str = "imagenet"
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    preprocessing: Preprocessing | Mapping[str, Any] | None = None
    head: int | None = None


@dataclass(frozen=True)
class LayerSpec:
    """One row of a manifest: a layer of one network.

    Parameters
    ----------
    name : str
        Dotted name of the module in the network.
    kind : str
        Class of the module.
    shape : tuple of int
        Shape of the output for one image.
    units : int
        Number of output values for one image.
    depth : int
        Position in the order of execution, from 1; a module that runs several times stands where it ran last.
    same_as : str
        Name of the layer before it whose output this module passes on unchanged; empty: its values are its own.
    reduced : str
        What is done to the output before it is a layer, as `layers.outputs.reduce` reads it; empty: nothing.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    units: int
    depth: int
    same_as: str = ""
    reduced: str = ""


@dataclass(frozen=True)
class LayerChoice:
    """Which modules of a network are layers, and what is taken of their outputs.

    Parameters
    ----------
    which : "leaves", "all" or tuple of str
        Modules without children, all modules, or those whose dotted names match a pattern.
    tokens : {"all", "cls", "mean"}
        Of outputs [token, channel]: all, the class token, or the mean over the tokens of patches.
    pooling : {"none", "mean", "max"}
        Of outputs [channel, height, width]: all, or the mean or the largest over space.
    repeated : {"keep", "leave-out"}
        What becomes of modules that pass on the output of a layer before them.
    """

    which: Literal["leaves", "all"] | tuple[str, ...] = "leaves"
    tokens: Literal["all", "cls", "mean"] = "all"
    pooling: Literal["none", "mean", "max"] = "none"
    repeated: Literal["keep", "leave-out"] = "keep"
