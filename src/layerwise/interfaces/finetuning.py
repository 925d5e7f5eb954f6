"""Every choice of a fine-tuning, with the paper's values as defaults."""

from dataclasses import dataclass, fields
from math import inf
from typing import Any, Literal, get_args, get_origin

# In the attributes of what a fine-tuned network gave:
STARTED_FROM = "started from"  # hash of its pretrained weights
TRAINING = "training"  # hash of all that its training depended on
DIVERGED = "diverged"  # what was no longer finite, of a split whose training diverged

FEWEST = 3  # images of which a rank correlation is defined
WORTHWHILE = 300.0  # seconds of the shortest training that is worth a compilation: some five times what one takes


@dataclass(frozen=True)
class FinetuneSettings:
    """How a network is trained to predict scores. What the paper states is the default; of the rest a reason is given.

    Parameters
    ----------
    optimiser : {"sgd", "adamw"}
        The paper's is stochastic gradient descent. "adamw" is what most transformers are trained with.
    learning_rate : float
        Of the first epoch; the paper's.
    momentum, nesterov : float, bool
        Of "sgd"; the paper's.
    weight_decay : float
        0: the paper names its optimiser's settings, and no decay among them. It is of all parameters, norms and biases
        too, as PyTorch's optimisers have it.
    schedule : {"step", "cosine", "constant"}
        The paper's is "step": the rate is multiplied by `gamma` after every `step_epochs` epochs. "cosine" falls from
        the first rate towards zero at `max_epochs`.
    step_epochs, gamma : int, float
        Of "step"; the paper's.
    max_epochs, patience : int
        Training ends after so many epochs, or so many without gain; the paper's.
    watch : {"rho", "loss"}
        What must gain on the validation images: their Spearman correlation, since this is what is reported, or their
        loss. The paper does not say which.
    loss : {"mse", "l1"}
        Mean squared error, the usual loss of a regression, of which the best prediction is the expected score; the
        paper does not say. "l1" is less moved by outlying scores.
    centre : bool
        Set the bias of the new head to the mean of the training scores. Else the first steps of every layer go into
        finding that mean (.76 in LaMem). Predictions stay in the units of the scores.
    batch_size : int
        Images of one update; the paper's.
    accumulate : int, optional
        Parts into which a batch is divided, with their gradients added up, where memory is short. Batch normalisations
        then see the parts. None: 1, doubled where memory runs out, which the log says.
    last_batch : {"drop", "keep"}
        What to do with the images left over at the end of an epoch. "drop": a batch of a few images gives batch
        normalisations a poor estimate, and since the order is drawn anew, other images are left over each time. A
        single image is always left out.
    batch_norms : {"learn", "frozen"}
        "learn": statistics and scales are still learned, as in plain training. "frozen": both stay as they were, which
        suits small parts of a batch.
    crop : {"resize-crop", "random-resized-crop"}
        The paper resizes and crops at random. The other also draws the size and shape of the part that is cropped,
        which may lose what makes an image memorable.
    scale, ratio : pair of float
        Of "random-resized-crop": share of the image's area, and width over height; torchvision's defaults.
    flip : bool
        Mirror every other image, at random; the paper's.
    precision : {"tf32", "bf16", "float32"}
        Products on a GPU. "tf32" rounds their factors to 10 bits and is what PyTorch's convolutions do unless told
        otherwise; "bf16" is quicker and rounds to 7. On a CPU "tf32" is float32.
    compile : {"auto", "always", "never"}
        Whether a GPU runs the network through `torch.compile`, which takes a minute or several and makes each step
        quicker. "auto" tries it where training lasts five minutes or more without, and keeps it where it is quicker;
        never with `deterministic`, since kernels are chosen by trials. On a CPU nothing is compiled.
    deterministic : bool
        Only algorithms that give the same bits again, on a GPU; slower. On a CPU all are.
    seed : int
        Of the new head, the order of images, their augmentation and dropout.
    hold_out : float
        Share of the training images that are watched where a split has no validation part; 0 refuses such a split.
    """

    optimiser: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.0
    schedule: Literal["step", "cosine", "constant"] = "step"
    step_epochs: int = 10
    gamma: float = 0.1
    max_epochs: int = 100
    patience: int = 10
    watch: Literal["rho", "loss"] = "rho"
    loss: Literal["mse", "l1"] = "mse"
    centre: bool = True
    batch_size: int = 32
    accumulate: int | None = None
    last_batch: Literal["drop", "keep"] = "drop"
    batch_norms: Literal["learn", "frozen"] = "learn"
    crop: Literal["resize-crop", "random-resized-crop"] = "resize-crop"
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = True
    precision: Literal["tf32", "bf16", "float32"] = "tf32"
    compile: Literal["auto", "always", "never"] = "auto"
    deterministic: bool = False
    seed: int = 1
    hold_out: float = 0.1

    @property
    def fewest_epochs(self) -> int:
        """Epochs of the shortest training: nothing is gained after the first."""
        return min(self.max_epochs, self.patience + 1)

    def worth_compiling(self, seconds: float = inf) -> bool:
        """Return whether a GPU tries a compilation, if the shortest training lasts so many seconds without."""
        worthwhile = self.compile == "auto" and not self.deterministic and seconds >= WORTHWHILE
        return self.compile == "always" or worthwhile

    def count_held(self, n_train: int) -> int:
        """Count the training images that are watched where a split has no validation part."""
        return max(FEWEST, round(self.hold_out * n_train))

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_choice(field.name, getattr(self, field.name), field.type)
        for name, (holds, allowed) in _limits(self).items():
            if not holds:
                raise ValueError(f"the {name} of fine-tuning is {getattr(self, name)}: it must be {allowed}")


def _check_choice(name: str, value: object, annotation: Any) -> None:
    if get_origin(annotation) is Literal and value not in get_args(annotation):
        choices = " or ".join(repr(choice) for choice in get_args(annotation))
        raise ValueError(f"the {name} of fine-tuning is {value!r}: it must be {choices}")


def _limits(of: FinetuneSettings) -> dict[str, tuple[bool, str]]:
    return {
        "learning_rate": (0 < of.learning_rate < float("inf"), "a number above 0"),
        "momentum": (0 <= of.momentum < 1, "from 0 to below 1"),
        "nesterov": (of.momentum > 0 or not of.nesterov or of.optimiser != "sgd", "false where the momentum is 0"),
        "weight_decay": (0 <= of.weight_decay < float("inf"), "0 or more"),
        "step_epochs": (of.step_epochs >= 1, "1 or more"),
        "gamma": (0 < of.gamma <= 1, "above 0, and 1 at most"),
        "max_epochs": (of.max_epochs >= 1, "1 or more"),
        "patience": (of.patience >= 1, "1 or more"),
        "batch_size": (of.batch_size >= 2, "2 or more"),
        "accumulate": (of.accumulate is None or 1 <= of.accumulate <= of.batch_size, "from 1 to the batch size"),
        "compile": (not of.deterministic or of.compile != "always", "'auto' or 'never' with `deterministic`"),
        "scale": (0 < of.scale[0] <= of.scale[1] <= 1, "two shares of the area, the smaller first"),
        "ratio": (0 < of.ratio[0] <= of.ratio[1], "two ratios above 0, the smaller first"),
        "seed": (0 <= of.seed < 2**63, "0 or more"),
        "hold_out": (0 <= of.hold_out < 1, "a share from 0 to below 1"),
    }
