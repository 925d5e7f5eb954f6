"""The section ``models``: the networks of the study."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from layerwise.config.base import Given, Name, Section, Seed, check_path
from layerwise.interfaces import LayerChoice, ModelSpec
from layerwise.models import registry
from layerwise.models.preprocessing import resolve_preprocessing, states_itself
from layerwise.models.registry import Library

FINETUNED = ".finetuned-"  # between the name of a network and of the split that it was trained on

_NO_FILES = frozenset({"", "imagenet", "random"})  # of `weights`

Deviation = Annotated[float, Field(gt=0)]


def _check_weights(weights: str) -> str:
    if not weights.strip():
        raise ValueError("it is empty: give imagenet, random or a file, or leave the key out")
    check_path(Path(weights))
    return weights


def _check_options(options: dict[str, Any]) -> dict[str, Any]:
    for key, value in options.items():
        _check_plain(key, value)
    return options


def _check_plain(place: str, value: Any) -> None:
    """Refuse what JSON and YAML cannot both hold: a job would read something other than what was written."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ValueError(f"the key {key!r} of {place!r} is not text: put it in quotes")
            _check_plain(f"{place}.{key}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _check_plain(f"{place}[{index}]", inner)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{place!r} is {value}: give a finite number, or let your own function put it in")
    elif not isinstance(value, str | int | float | None):
        raise ValueError(
            f"{place!r} is of type {type(value).__name__}: give text (in quotes), numbers, true, false, null, lists or "
            "mappings"
        )


class PreprocessingEntry(Section):
    """What a network expects of its input: keys that are not given are as its library states them.

    For a factory they are ImageNet's usual: 224 pixels of 256 (or another `size` of as much more), bilinear, its mean
    and spread, RGB from 0 to 1.
    """

    size: int | None = Field(None, ge=16, le=4096)
    """Side of the square input, pixels. One that `options` build a network of timm or EfficientNet-PyTorch for
    (`img_size`, `image_size`) need not be given again."""
    resize: int | None = Field(None, ge=16, le=4096)
    """Length before the centre crop, pixels: of the shorter side for `centre`, of both for `squash`, of the longer one
    for `border`. Of networks of timm and of factories it follows a `size` that is given; of others give both, or the
    network sees the middle of each photograph only, which `check-config` notes."""
    interpolation: Literal["bilinear", "bicubic"] | None = None
    """Filter of the resize before a crop (geometry `imagenet`); that to a square is bilinear for all networks."""
    mean: tuple[float, float, float] | None = None
    """Subtracted from the channels."""
    std: tuple[Deviation, Deviation, Deviation] | None = None
    """Divides the channels."""
    channels: Literal["RGB", "BGR"] | None = None
    """Order of the channels."""
    maximum: Literal[1, 255] | None = None
    """Value of a full channel before the mean is subtracted."""
    crop: Literal["centre", "squash", "border"] | None = None
    """How a photograph becomes a square where it is cropped (geometry `imagenet`). `centre`: its aspect is kept, and
    what lies beyond the square is lost; `squash`: its aspect is not kept; `border`: it is kept, and what lacks is
    filled with the colour of the mean."""

    @property
    def given(self) -> dict[str, Any]:
        """The keys that are given."""
        return self.model_dump(exclude_none=True)


def _check_which(which: Any) -> Any:
    if isinstance(which, str) and which not in ("leaves", "all"):
        raise ValueError(f"{which!r} is no choice: give leaves, all, or names and patterns in brackets: [{which}]")
    if which == []:
        raise ValueError("no name is given: give some, such as [layer4], or leaves, or all")
    for pattern in which if isinstance(which, list) else ():
        if isinstance(pattern, int | float):
            raise ValueError(f"{pattern} is a number in YAML: a module of this name stands in quotes: ['{pattern}']")
        parts = pattern.split(".") if isinstance(pattern, str) else [""]
        if not all(parts) or any(sign.isspace() for sign in pattern):
            raise ValueError(f"{pattern!r} is no pattern of names of modules: give layer4, layer4.* or blocks.*.attn")
    return which


class LayerSettings(Section):
    """Which modules are layers, and what is taken of their outputs."""

    which: Annotated[Literal["leaves", "all"] | list[str], BeforeValidator(_check_which)] = "leaves"
    """`leaves`: modules without children, as in the paper; `all`: containers, too; or patterns of names, such as
    `layer4`, or `blocks.*` for the residual stream of a transformer: `*` stands for what is between two dots, `**` for
    any number of names. Alone it may be written without the key: `layers: [layer4]`."""
    tokens: Literal["all", "cls", "mean"] = "all"
    """Of a transformer's tokens: all, the class token, or the mean over those of patches."""
    pooling: Literal["none", "mean", "max"] = "none"
    """Of the places in an image, for each channel: all, their mean, or the largest."""
    repeated: Literal["keep", "leave-out"] = "keep"
    """Modules that pass on the output of a layer before them, such as dropout: they keep their rows, with the scores of
    that layer and its name in `same_as`; or are left out."""

    @property
    def choice(self) -> LayerChoice:
        """The same as the rooms below take it."""
        which = self.which if isinstance(self.which, str) else tuple(self.which)
        return LayerChoice(which, self.tokens, self.pooling, self.repeated)


def name_which(given: Any) -> Any:
    """Take names of layers alone for the key that they are of."""
    return {"which": given} if isinstance(given, str | list) else given


Layers = Annotated[
    LayerSettings,
    BeforeValidator(name_which, json_schema_input_type=LayerSettings | Literal["leaves", "all"] | list[str]),
]


class ModelEntry(Section):
    """One network: a name that layerwise knows, a timm network, or the product of your own function."""

    name: Name
    """Name in the study. With none of `model`, `timm` and `factory` it must be a name that layerwise knows."""
    model: str | None = None
    """A network that layerwise knows, under another name: `{name: untrained, model: resnet18, weights: random}`."""
    timm: str | None = None
    """Any classification network of timm, such as `convnext_tiny.fb_in1k`."""
    factory: str | None = None
    """Your own function that returns a torch network: `package.module:function`. Python must find the module in the
    working folder, in PYTHONPATH, or installed."""
    weights: Annotated[str, AfterValidator(_check_weights), Given(_NO_FILES)] | None = None
    """`imagenet` (the official ones; default), `random` (an untrained control), or a local file. A factory without
    weights keeps those that it was built with."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{8,64}$")] | None = None
    """SHA-256 of a local file of weights, or the first eight of its digits or more: another file, or a damaged one, is
    refused when jobs are planned."""
    seed: Seed = 0
    """Seed of random weights."""
    options: Annotated[dict[str, Any], AfterValidator(_check_options)] = Field(default_factory=dict)
    """Arguments for the constructor, as they are: a path among them counts from the working folder."""
    preprocessing: PreprocessingEntry | None = None
    """How the network wants its input; keys that are not given: as its library states it."""
    layers: Layers | None = None
    """Which of its modules are layers; keys that are not given: as the study's `layers`."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [key for key in ("model", "timm", "factory") if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of model, timm and factory, not {' and '.join(given)}")
        if not given or given == ["model"]:
            registry.find(self.model or self.name)
        if self.factory is not None and self.factory.count(":") != 1:
            raise ValueError(f"factory must look like package.module:function, not {self.factory!r}")
        if self.sha256 is not None and self.weights in (None, "imagenet", "random"):
            raise ValueError("sha256 is of a local file of weights: name the file as `weights`, or leave it out")
        self.spec()  # refuses a preprocessing that contradicts itself
        return self

    @property
    def registered(self) -> str | None:
        """The network that layerwise knows; None for an own network, and for one that is built with options or shown
        images of another size, of which what is known of it does not hold."""
        if self.timm or self.factory or self.options:
            return None
        row, size = registry.find(self.model or self.name), self.preprocessing.size if self.preprocessing else None
        same = size is None or (row.preprocessing is not None and size == row.preprocessing.size)
        return row.name if same else None

    @property
    def choice(self) -> LayerChoice:
        """Which of its modules are layers."""
        return self.layers.choice if self.layers else LayerChoice()

    @property
    def shipped(self) -> str | None:
        """The network whose list of layers ships and holds, but for repeated ones that the study leaves out."""
        return self.registered if replace(self.choice, repeated="keep") == LayerChoice() else None

    @property
    def published(self) -> float | None:
        """The ImageNet accuracy (top-1, per cent) that is published of the network with these weights, if one is."""
        if self.timm or self.factory or self.weights not in (None, "imagenet"):
            return None
        return registry.find(self.model or self.name).top1

    def spec(self) -> ModelSpec:
        """Resolve the entry to all that is needed to build the network."""
        library, constructor, weights = self._source()
        spec = ModelSpec(
            name=self.name,
            library=library,
            constructor=constructor,
            weights=self.weights or weights,
            seed=self.seed,
            options=self.options,
            preprocessing=self.preprocessing.given or None if self.preprocessing else None,
        )
        if spec.preprocessing is None or not states_itself(spec):
            return spec
        return replace(spec, preprocessing=resolve_preprocessing(spec))

    def _source(self) -> tuple[Library, str, str]:
        if self.factory:
            return "factory", self.factory, "built"
        if self.timm:
            return "timm", self.timm, "imagenet"
        row = registry.find(self.model or self.name)
        return row.library, row.constructor, "imagenet"

    def weights_file(self) -> Path | None:
        """The local file of weights that the entry names, if it names one."""
        if self.weights in (None, "imagenet", "random"):
            return None
        return Path(str(self.weights))


def name_finetuned(network: str, split: str) -> str:
    """Name a network of the study as a split left it."""
    return f"{network}{FINETUNED}{split}"


class FineTunedEntry(ModelEntry):
    """A network of the study as one of its splits left it; it stands in no config.

    It is an own network, whose layers are listed, since its head is another one; its weights are a result.
    """

    name: str
    network: Name
    """Name of the network that was trained on."""
    split: str
    """Number of the split whose images it was trained on, from 1."""

    @classmethod
    def of(cls, entry: ModelEntry, split: str) -> Self:
        """Make the entry of a network after it was trained on a split."""
        source = {} if entry.timm or entry.factory else {"model": entry.model or entry.name}
        given = entry.model_dump() | source
        return cls(**given | {"name": name_finetuned(entry.name, split), "network": entry.name, "split": split})

    @property
    def registered(self) -> str | None:
        """None: the manifest that ships is of a network with another head."""
        return None

    @property
    def published(self) -> float | None:
        """None: it gives scores, and no classes."""
        return None

    def spec(self) -> ModelSpec:
        """Resolve the entry to all that is needed to build the network, but for its weights."""
        return replace(super().spec(), weights="built", head=1)

    def weights_file(self) -> Path | None:
        """None: they are a result, and no file of the user's."""
        return None
