"""What training has reached, epoch by epoch, and when it ends."""

from dataclasses import dataclass
from math import isnan

from layerwise.interfaces import counted
from layerwise.interfaces.finetuning import FinetuneSettings


@dataclass(frozen=True)
class Epoch:
    """One epoch that is done.

    Parameters
    ----------
    number : int
        From 1.
    learning_rate : float
        In it.
    training_loss : float
        Mean over its batches, while the network learnt and with dropout.
    validation_loss, rho : float
        Of the validation images after it: loss, and Spearman correlation; NaN if predictions do not vary.
    accumulate : int
        Parts into which each batch was divided.
    compiled : bool
        Whether the network was compiled.
    """

    number: int
    learning_rate: float
    training_loss: float
    validation_loss: float
    rho: float
    accumulate: int
    compiled: bool = False


def best_epoch(history: list[Epoch], settings: FinetuneSettings) -> int:
    """Return the number of the best epoch, the first of equals; 0 before any."""
    best, reached = 0, -float("inf")
    for epoch in history:
        value = epoch.rho if settings.watch == "rho" else -epoch.validation_loss
        if value > reached or (not best and isnan(value)):
            best, reached = epoch.number, reached if isnan(value) else value
    return best


def ends(history: list[Epoch], settings: FinetuneSettings) -> str:
    """Return why training ends after these epochs; nothing if it continues."""
    if len(history) >= settings.max_epochs:
        return f"after {counted(settings.max_epochs, 'epoch')}, the most that were allowed"
    without = len(history) - best_epoch(history, settings)
    if history and without >= settings.patience:
        return f"after {counted(without, 'epoch')} without gain"
    return ""
