"""Networks that are trained on to predict scores of images, one split at a time."""

from layerwise.finetuning.folds import FineTuned, fine_tune
from layerwise.finetuning.history import Epoch
from layerwise.finetuning.parts import Fold, Part, make_fold
from layerwise.finetuning.predictions import Predictions
from layerwise.finetuning.state import State
from layerwise.finetuning.stopping import DivergedError
from layerwise.finetuning.together import fine_tune_folds
from layerwise.interfaces import FinetuneSettings, StoppedError
from layerwise.passes.stopping import StopRequests

__all__ = [
    "DivergedError",
    "Epoch",
    "FineTuned",
    "FinetuneSettings",
    "Fold",
    "Part",
    "Predictions",
    "State",
    "StopRequests",
    "StoppedError",
    "fine_tune",
    "fine_tune_folds",
    "make_fold",
]
