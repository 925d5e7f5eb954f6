"""The section ``finetuning``: networks that are trained on to predict a set of ratings."""

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from typing import Literal, Self

from pydantic import Field, model_validator

from layerwise.config.base import MOST, Name, Section, Seed
from layerwise.config.data import RatingEntry
from layerwise.config.models import ModelEntry
from layerwise.interfaces import FinetuneSettings

UNTRAINED = "random"  # weights of a control, which is trained only if it is named


class FinetuningSettings(Section):
    """Which networks are fine-tuned, on what, and how. What the paper states is the default; of the rest a reason is
    given."""

    ratings: Name | None = None
    """Ratings to predict; default: the only ones of the study."""
    models: list[Name] | None = Field(None, min_length=1)
    """Networks to fine-tune; default: all but those with `weights: random`. Named here, these are trained too."""
    splits: list[int] | None = Field(None, min_length=1)
    """Numbers of the splits, from 1; default: all of the ratings."""
    folds_per_job: int = Field(1, ge=1, le=MOST)
    """Splits of a network that one job trains. 1 gives one job per (network, split); more train side by side on a
    GPU. Another number makes nothing stale."""
    profile: bool = False
    """Whether every layer of the fine-tuned networks is held against the brain and the ratings too, which costs as
    much again for each split; else their penultimate layer is held against the brain. Of the ratings, a network is
    scored on the test images of its own split alone, since it has seen those of the others."""
    optimiser: Literal["sgd", "adamw"] = "sgd"
    """The paper's is stochastic gradient descent; most transformers are trained with `adamw`."""
    learning_rate: float = 1e-3
    """Of the first epoch; the paper's."""
    momentum: float = 0.9
    """Of `sgd`; the paper's."""
    nesterov: bool = True
    """Nesterov's momentum, for `sgd`; the paper's."""
    weight_decay: float = 0.0
    """0: the paper names its optimiser's settings, and no decay among them. It is of all parameters, norms and biases
    too, as PyTorch's optimisers have it."""
    schedule: Literal["step", "cosine", "constant"] = "step"
    """`step`: the rate is multiplied by `gamma` after every `step_epochs` epochs, as in the paper. `cosine`: it falls
    towards zero at `max_epochs`."""
    step_epochs: int = 10
    """Epochs between two steps of the rate; the paper's."""
    gamma: float = 0.1
    """What a step multiplies the rate by; the paper's."""
    max_epochs: int = Field(100, le=MOST)
    """Epochs at most; the paper's."""
    patience: int = Field(10, le=MOST)
    """Training ends after so many epochs without gain; the paper's."""
    watch: Literal["rho", "loss"] = "rho"
    """What must gain on the validation images: their Spearman correlation, since this is what is reported, or their
    `loss`. The paper does not say which."""
    loss: Literal["mse", "l1"] = "mse"
    """`mse`: mean squared error, the usual loss of a regression, of which the best prediction is the expected score;
    the paper does not say. `l1` is less moved by outlying scores."""
    centre: bool = True
    """Start from the mean of the training scores. Else the first steps of every layer go into finding it; predictions
    stay in the units of the scores."""
    batch_size: int = Field(32, le=100_000)
    """Images of one update; the paper's."""
    accumulate: int | None = None
    """Parts into which a batch is divided, with their gradients added up, where memory is short. Batch normalisations
    then see the parts. Default: 1, doubled where memory runs out, which the log and the history say."""
    last_batch: Literal["drop", "keep"] = "drop"
    """What to do with the images left over at the end of an epoch. `drop`: a batch of a few images gives batch
    normalisations a poor estimate, and other images are left over each time."""
    batch_norms: Literal["learn", "frozen"] = "learn"
    """`learn`: their statistics and scales are learned, as in plain training. `frozen`: they stay as they were, which
    suits small parts of a batch."""
    crop: Literal["resize-crop", "random-resized-crop"] = "resize-crop"
    """The paper resizes, and crops at random. `random-resized-crop` also draws the size and shape of the part that is
    cropped, which may lose what makes an image memorable."""
    scale: tuple[float, float] = (0.08, 1.0)
    """Of `random-resized-crop`: least and greatest share of the image's area; torchvision's."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Of `random-resized-crop`: least and greatest width over height; torchvision's."""
    flip: bool = True
    """Mirror every other image, at random; the paper's."""
    precision: Literal["tf32", "bf16", "float32"] = "tf32"
    """Products on a GPU. `tf32` rounds their factors to 10 bits, as PyTorch's convolutions do unless told otherwise;
    `bf16` is quicker, and rounds to 7. On a CPU `tf32` is float32."""
    compile: Literal["auto", "always", "never"] = "auto"
    """Whether a GPU runs the network through torch.compile, which takes a minute or several and makes steps quicker.
    `auto`: where training lasts five minutes or more without, if a trial shows that it is quicker; never with
    `deterministic`. On a CPU nothing is compiled."""
    deterministic: bool = False
    """Only algorithms that give the same bits again, on a GPU; slower. On a CPU all are."""
    seed: Seed = 1
    """Of the new head, the order of images, their crops, and dropout."""
    hold_out: float = 0.1
    """Share of the training images that early stopping watches where a split has no validation part, as with folds of a
    CSV; 0 refuses such a split."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for key, values in (("models", self.models), ("splits", self.splits)):
            twice = sorted(str(value) for value, count in Counter(values or ()).items() if count > 1)
            if twice:
                raise ValueError(f"`{key}` lists {', '.join(twice)} more than once: each is trained once")
        return self

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        self.settings()
        return self

    def settings(self) -> FinetuneSettings:
        """Give what concerns the training itself."""
        return FinetuneSettings(**{field.name: getattr(self, field.name) for field in fields(FinetuneSettings)})


def check_finetuning(section: FinetuningSettings, models: Sequence[ModelEntry], ratings: Sequence[RatingEntry]) -> None:
    """Check what a study is to fine-tune against what it holds.

    Raises
    ------
    ValueError
        It names a network, ratings or a split that the study does not have, does not say which ratings, or all networks
        are untrained.
    """
    named = [entry.name for entry in ratings]
    if not named:
        raise ValueError("finetuning: the study has no ratings to predict: give some, or set `finetuning: null`")
    if section.ratings is None and len(named) > 1:
        raise ValueError(f"finetuning: set `ratings` to those that networks are to predict, one of {_join(named)}")
    for model in section.models or []:
        _must_be_known("models", model, [entry.name for entry in models])
    if section.models is None and all(entry.weights == UNTRAINED for entry in models):
        raise ValueError("finetuning: all networks have random weights: name those to train in `models`, or set null")
    if section.ratings is not None:
        _must_be_known("ratings", section.ratings, named)
    chosen = next(entry for entry in ratings if section.ratings in (None, entry.name))
    _check_splits(section, chosen)


def _check_splits(section: FinetuningSettings, ratings: RatingEntry) -> None:
    wrong = [split for split in section.splits or [] if split < 1]
    if wrong:
        raise ValueError(f"finetuning.splits: splits are numbered from 1, and {wrong[0]} is given")
    count = ratings.folds if ratings.scores is not None and ratings.fold_column is None else None
    beyond = [split for split in section.splits or [] if count is not None and split > count]
    if beyond:
        raise ValueError(f"finetuning.splits: there is no split {beyond[0]}: {ratings.name} is divided into {count}")


def _must_be_known(key: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f": did you mean {near[0]!r}?" if near else ":"
        raise ValueError(f"finetuning.{key}: {name!r} is not in the study{hint} There are: {_join(known)}")


def _join(names: Sequence[str]) -> str:
    return ", ".join(names)
