"""Steps that hold layers against the brain."""

from dataclasses import replace
from pathlib import Path

from layerwise.activations import ActivationStore
from layerwise.analyses.brain import BrainSimilarity
from layerwise.analyses.ceiling import estimate_ceiling as estimate
from layerwise.analyses.ceiling import no_ceiling
from layerwise.analyses.dividing import SplitPlan
from layerwise.analyses.rdm import RdmSimilarity
from layerwise.config import Study
from layerwise.files.tables import write_table
from layerwise.interfaces import Progress, no_progress
from layerwise.layers.blocks import in_block
from layerwise.steps.devices import choose_device, device_memory, limit_threads, named_memory
from layerwise.steps.inputs import is_of_distances, layers_in, region_distances, region_recordings
from layerwise.study import find_region


def estimate_ceiling(study: Study, region: str, output: Path) -> None:
    """Estimate how consistent a region's neuroids are over repetitions."""
    if is_of_distances(study, region):
        write_table(no_ceiling(region_distances(study, region), region), output)
        return
    recordings, splits = region_recordings(study, region), splits_of(study, region)
    write_table(estimate(splits.tested(recordings), region, study.regression.halves, whole=recordings), output)


def score_brain(
    study: Study,
    model: str,
    region: str,
    block: str,
    activations: Path,
    output: Path,
    manifest: Path | None = None,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> None:
    """Score a block of layers against one region, by each measure: Pearson r of each neuroid in each split."""
    compute = study.compute
    limit_threads(threads or compute.threads)
    device = choose_device(compute.device, compute.gpus)
    memory = device_memory([device], compute.memory, compute.gpu_memory)
    similarity = _similarity(study, region, device, memory)
    with named_memory(compute):
        layers = in_block(layers_in(study, model, manifest), block)
        write_table(similarity.score(ActivationStore(activations, model), layers, progress), output)


def _similarity(study: Study, region: str, device: str, memory: int) -> BrainSimilarity | RdmSimilarity:
    settings = study.brain.settings()
    if is_of_distances(study, region):
        return RdmSimilarity(region_distances(study, region), region, settings, device)
    measures = tuple(study.measures_of(find_region(study, region).recording))
    return replace(similarity_with(study, region, device, memory), measures=measures, settings=settings)


def splits_of(study: Study, region: str) -> SplitPlan:
    """Return how the stimuli of a region's recordings are divided."""
    return SplitPlan(**study.recording(find_region(study, region).recording).splits.model_dump())


def similarity_with(study: Study, region: str, device: str, memory: int) -> BrainSimilarity:
    """Open a region's recordings, to score layers against them by PLS as the study says."""
    return BrainSimilarity(
        region_recordings(study, region),
        region,
        splits_of(study, region),
        study.regression.components,
        study.regression.solver,
        device,
        memory,
        study.brain.pca.components if study.brain.pca else None,
    )
