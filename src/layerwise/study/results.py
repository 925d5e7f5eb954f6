"""Which results a study consists of: what its rules ask for, and what its steps gather."""

from collections.abc import Sequence

from layerwise.config import Study
from layerwise.config.study import PCA_IMAGES
from layerwise.interfaces import LayerSpec, Preprocessing
from layerwise.study.finetuning import finetuned_models, finetuned_results, finetuned_splits
from layerwise.study.layout import PRETRAINED, Layout
from layerwise.study.plan import Plans
from layerwise.study.profiles import profiled_networks, scored_ratings
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
    """List the scores of a network against all ratings that it is held against."""
    return [
        layout.memorability(model, entry.name, block)
        for entry in scored_ratings(plans.study, model)
        for block in plans.blocks(model, entry.name, layers)
    ]


def figure3_region(study: Study) -> str:
    """Name the region of figure 3: IT, or the last one of the study; empty where there is none."""
    names = [region.name for region in regions(study)]
    return "IT" if "IT" in names else names[-1] if names else ""


def penultimate_weights(study: Study) -> list[str]:
    """Name the weights with which a network's penultimate layer is held against the brain, as paths of results do."""
    return [PRETRAINED, *finetuned_splits(study)] if regions(study) else []


def final_results(study: Study, layout: Layout) -> list[str]:
    """List what a study ends with: tables, figure 2 where there is something to correlate, and networks trained on."""
    figure = [layout.table("correlations"), *layout.figure("figure2")]
    figures = figure if regions(study) and study.ratings else []
    profiles = [layout.finetuned_layers] if profiled_networks(study) else []
    return [layout.layers, layout.table("models"), *figures, *_finetuned(study, layout), *profiles]


def _finetuned(study: Study, layout: Layout) -> list[str]:
    models = finetuned_models(study)
    if not models:
        return []
    histories = [path for model in models for path in layout.history_figure(model)]
    figures = [*layout.figure("figure3"), *layout.figure("figure3_change")] if regions(study) else []
    return [*finetuned_results(study, layout), layout.finetuned_table, *histories, *figures]
