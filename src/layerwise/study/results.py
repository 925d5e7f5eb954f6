"""Which results a study consists of: what its rules ask for, and what its steps gather."""

from collections.abc import Sequence

from layerwise.config import Study
from layerwise.config.study import PCA_IMAGES
from layerwise.interfaces import LayerSpec, Preprocessing
from layerwise.study.finetuning import finetuned_results
from layerwise.study.layout import Layout
from layerwise.study.plan import Plans
from layerwise.study.regions import regions
from layerwise.study.stimuli import geometry_of, pca_geometry


def pixels_for(study: Study, layout: Layout, stimuli: str, expected: Preprocessing) -> str:
    """Return the pixels of a stimulus set that a network sees, which it shares with all others of its geometry."""
    return layout.pixels(stimuli, geometry_of(study, stimuli, expected).key)


def pca_pixels_for(study: Study, layout: Layout, stimuli: str, expected: Preprocessing) -> str | None:
    """Return the pixels on which principal components are fitted; None where a stimulus set is not reduced."""
    geometry = pca_geometry(study, stimuli, expected)
    return layout.pixels(PCA_IMAGES, geometry.key) if geometry else None


def brain_scores(plans: Plans, layout: Layout, model: str, layers: Sequence[LayerSpec]) -> list[str]:
    """List the scores of a network against all regions."""
    return [
        layout.brain(model, region.name, block)
        for region in regions(plans.study)
        for block in plans.blocks(model, region.recording, layers)
    ]


def rating_scores(plans: Plans, layout: Layout, model: str, layers: Sequence[LayerSpec]) -> list[str]:
    """List the scores of a network against all ratings."""
    return [
        layout.memorability(model, entry.name, block)
        for entry in plans.study.ratings
        for block in plans.blocks(model, entry.name, layers)
    ]


def reported_tables(study: Study, layout: Layout) -> list[str]:
    """List the tables of the study that its report shows."""
    correlated = [layout.table("correlations")] if _correlates(study) else []
    return [layout.layers, layout.table("models"), *correlated]


def final_results(study: Study, layout: Layout) -> list[str]:
    """List what a study ends with: tables, figures where there is something to correlate, report, trained networks."""
    figures = layout.figure("figure2") if _correlates(study) else []
    return [*reported_tables(study, layout), *figures, layout.report, *finetuned_results(study, layout)]


def _correlates(study: Study) -> bool:
    return bool(regions(study) and study.ratings)
