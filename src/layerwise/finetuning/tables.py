"""What a fine-tuning gives, as tables."""

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from layerwise.finetuning.folds import FineTuned
from layerwise.finetuning.predictions import Predictions


def history_table(result: FineTuned, model: str, split: str) -> pd.DataFrame:
    """Return a row for each epoch; `best` marks the one whose weights are kept."""
    table = pd.DataFrame([asdict(epoch) for epoch in result.history]).rename(columns={"number": "epoch"})
    table.insert(0, "model", model)
    table.insert(1, "split", split)
    return table.assign(best=table["epoch"] == result.best_epoch)


def predictions_table(result: FineTuned, stimuli: Sequence[str], split: str) -> pd.DataFrame:
    """Return a row for each image that was not trained on: of part `val` or `test`, with its score and the predicted.

    Parameters
    ----------
    result : FineTuned
        What training gave.
    stimuli : sequence of str
        Ids of all images.
    split : str
        Number of the split, from 1: an image may have another score in each.
    """
    parts = {"val": result.validation, "test": result.test}
    return pd.concat([_rows(part, stimuli, split, name) for name, part in parts.items()], ignore_index=True)


def _rows(part: Predictions, stimuli: Sequence[str], split: str, name: str) -> pd.DataFrame:
    ids = [stimuli[image] for image in part.images]
    return pd.DataFrame(
        {"stimulus": ids, "split": split, "part": name, "score": part.scores, "predicted": part.predicted}
    )
