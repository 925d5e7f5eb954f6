"""Drawn images: reproducible, varied, and of recognisable categories."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from layerwise.data.drawing import CATEGORIES, draw_image


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(16, 128), category=st.sampled_from([*CATEGORIES, None]))
def test_images_are_rgb_reproducible_and_not_flat(seed, size, category):
    image = draw_image(np.random.default_rng(seed), size, category)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8
    assert image.std() > 1
    np.testing.assert_array_equal(draw_image(np.random.default_rng(seed), size, category), image)


def test_images_differ(rng):
    images = np.stack([draw_image(rng, 48) for _ in range(30)]).reshape(30, -1).astype(float)
    correlations = np.corrcoef(images)[np.triu_indices(30, 1)]
    assert np.abs(correlations).max() < 0.99
    assert images.mean(axis=1).std() > 10  # brightness
    assert images.std(axis=1).std() > 5  # contrast


def test_outlines_tell_the_category():
    rng = np.random.default_rng(5)
    labels = np.repeat(["cross", "disc"], 150)
    edges = []
    for label in labels:
        grey = np.asarray(Image.fromarray(draw_image(rng, 64, label)).convert("L"), float)
        spectrum = np.log(np.abs(np.fft.rfft2(grey)) + 1)
        edges.append(spectrum[:16, :16].ravel())
    # Weak features suffice for far more than chance, although place, size, colour and ground are random.
    assert cross_val_score(LogisticRegression(C=0.01, max_iter=500), edges, labels, cv=5).mean() > 0.6


def test_unknown_category_is_named(rng):
    with pytest.raises(ValueError, match="no category 'cat'; there are: disc"):
        draw_image(rng, 32, "cat")
