"""Hashes of what was recorded or rated, for the results to carry: equal data, equal hash, whatever file they lay in."""

import numpy as np

from layerwise.files import hash_arrays, hash_object
from layerwise.interfaces import Distances, Ratings, Recordings


def content_hash(data: Recordings | Ratings | Distances) -> str:
    """Hash responses or scores, with the ids and properties that belong to them.

    Of ratings only what PLS uses counts: the images and scores of the training and test parts. So another validation
    part makes no score of a layer stale.
    """
    if isinstance(data, Distances):
        return hash_object([hash_arrays(data.matrix), data.stimuli])
    if isinstance(data, Recordings):
        columns = {name: np.asarray(values).tolist() for name, values in data.columns.items()}
        neuroids = [data.neuroids, data.regions, *([data.animals] if data.animals else [])]
        return hash_object([hash_arrays(data.responses), data.stimuli, *neuroids, columns])
    used = np.unique(np.concatenate([part for split in data.splits for part in (split.train, split.test)]))
    splits = [
        [hash_arrays(np.searchsorted(used, part), scores[part]) for part in (split.train, split.test)]
        for scores, split in zip(data.scores, data.splits, strict=True)
    ]
    return hash_object([[data.stimuli[place] for place in used], splits])
