"""Hashes of what was recorded or rated, for the results to carry: equal data, equal hash, whatever file they lay in."""

import numpy as np

from layerwise.files import hash_arrays, hash_object
from layerwise.interfaces import Ratings, Recordings


def content_hash(data: Recordings | Ratings) -> str:
    """Hash responses or scores, with the ids and properties that belong to them."""
    if isinstance(data, Recordings):
        columns = {name: np.asarray(values).tolist() for name, values in data.columns.items()}
        neuroids = [data.neuroids, data.regions, *([data.animals] if data.animals else [])]
        return hash_object([hash_arrays(data.responses), data.stimuli, *neuroids, columns])
    splits = [hash_arrays(split.train, split.test) for split in data.splits]
    return hash_object([hash_arrays(data.scores), data.stimuli, splits])
