"""Which results a study consists of: what its rules ask for, and what its steps gather."""

from collections.abc import Iterable, Sequence

from layerwise.config import Study
from layerwise.config.study import PCA_IMAGES
from layerwise.interfaces import LayerSpec, Preprocessing
from layerwise.study.facts import network_facts
from layerwise.study.finetuning import finetuned_models, finetuned_results, finetuned_splits
from layerwise.study.layout import ANALYSES, FINETUNING_ANALYSES, PRETRAINED, Layout
from layerwise.study.plan import Plans
from layerwise.study.profiles import profiled_networks, scored_ratings
from layerwise.study.regions import regions
from layerwise.study.stimuli import geometry_of, pca_geometry, shared_stimuli


def pixels_for(study: Study, layout: Layout, stimuli: str, expected: Preprocessing) -> str:
    """Return the pixels of a stimulus set that a network sees, which it shares with all others of its geometry."""
    stimuli = shared_stimuli(study, stimuli)
    return layout.pixels(stimuli, geometry_of(study, stimuli, expected).key)


def activations_for(study: Study, layout: Layout, model: str, recording: str) -> str:
    """Return the activations of a network to the stimuli of a recording, which other recordings may share."""
    return layout.activations(model, shared_stimuli(study, recording))


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


def drawn_scores(study: Study, layout: Layout) -> list[str]:
    """List the scores of all networks in samples of neuroids, where the study draws some."""
    return [layout.drawn(entry.name) for entry in study.models] if study.statistics.neuroids else []


TABLES = ("correlations", "models", "networks", "network_scores", "network_correlations")
PAPER = ("regions", "published", "reproduction")  # tables of a study that has both regions and ratings
FIGURES = ("figure2", "profiles", "regions", "forest")
ALONE = ("depth",)  # of a study that has recordings alone, or ratings alone
CONTROLS = ("figure4", "figureS1")  # figures over networks whose ImageNet accuracy is known
FEWEST = 3  # such networks
IT = "IT"


def main_region(names: Iterable[str]) -> str:
    """Return the region of figures 3 and 4: IT, as in the paper, or the last one of a study without it."""
    found = list(names)
    return IT if IT in found or not found else found[-1]


def penultimate_weights(study: Study) -> list[str]:
    """Name the weights with which a network's penultimate layer is held against the brain, as paths of results do."""
    return [PRETRAINED, *finetuned_splits(study)] if regions(study) else []


def penultimate_results(study: Study, layout: Layout, model: str) -> list[str]:
    """List what is made of a network's penultimate layer: scores, and activations to each recording, of all weights."""
    recorded = [entry.name for entry in study.recordings]
    return [
        path
        for weights in (PRETRAINED, *finetuned_splits(study))
        for path in (
            layout.penultimate_scores(model, weights),
            *(layout.penultimate(model, weights, name) for name in recorded),
        )
    ]


def described_tables(study: Study, layout: Layout) -> list[str]:
    """List the tables of a study, which its dictionary describes."""
    names = (*TABLES, *PAPER, *ANALYSES) if _correlates(study) else ("models", "networks")
    tuned = [layout.finetuned_table] if finetuned_models(study) else []
    changes = FINETUNING_ANALYSES if tuned and regions(study) else ()
    return [layout.layers, *tuned, *map(layout.table, (*names, *changes))]


def final_results(study: Study, layout: Layout) -> list[str]:
    """List what a study ends with: tables, figures, and networks trained on."""
    figures = (*FIGURES, *(CONTROLS if _known_accuracies(study) >= FEWEST else ())) if _correlates(study) else ALONE
    drawn = [path for name in figures for path in layout.figure(name)]
    described = described_tables(study, layout)
    profiles = [layout.finetuned_layers] if profiled_networks(study) else []
    last = [layout.table("dictionary", "csv"), layout.report]
    return [*described, *drawn, *last, *profiles, *_finetuned(study, layout)]


def _finetuned(study: Study, layout: Layout) -> list[str]:
    models = finetuned_models(study)
    histories = [path for model in models for path in layout.history_figure(model)]
    figures = [*layout.figure("figure3"), *layout.figure("figure3_change")] if models and regions(study) else []
    return [*finetuned_results(study, layout), *histories, *figures]


def _correlates(study: Study) -> bool:
    return bool(regions(study) and study.ratings)


def _known_accuracies(study: Study) -> int:
    return sum(facts["top1"] is not None for facts in network_facts(study))
