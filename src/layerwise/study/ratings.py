"""How a network's layers are scored against ratings: from stored activations, streamed or sketched."""

from typing import Literal

from layerwise.config import Study
from layerwise.study.counts import count_images

Method = Literal["stored", "streamed", "sketched"]


def method_of(study: Study, ratings: str) -> Method:
    """Return how ratings are predicted: from stored activations, or, of too many images for that, as the config says.

    Ratings whose tables are not there yet are taken to be small, and LaMem's to be LaMem's: a study can be planned on
    a clone without data, and is planned anew once they are there.
    """
    if count_images(study.rating(ratings)) <= study.memorability.small:
        return "stored"
    return "sketched" if study.memorability.method == "sketch" else "streamed"
