"""What jobs a study consists of, known without a tensor: regions, stimulus sets, geometries and blocks of layers.

Both the workflow's rules and the commands that they call read a study through this room, so they cannot disagree.
"""

from layerwise.study.attempts import tell_attempt
from layerwise.study.budget import Budget
from layerwise.study.facts import network_facts
from layerwise.study.families import accuracies_of, families_of
from layerwise.study.files import (
    fingerprint,
    imagenet_fingerprint,
    kept_activations,
    own_weights,
    present,
    require_room,
    require_weights,
)
from layerwise.study.finetuning import (
    finetuned_models,
    finetuned_ratings,
    finetuned_results,
    finetuned_splits,
    finetuning_geometry,
    finetuning_groups,
    finetuning_of,
    finetuning_pixels_for,
    set_aside,
    splits_of,
)
from layerwise.study.foreseen import find_notes, require_sound, require_there
from layerwise.study.interrupted import pass_on_interrupts
from layerwise.study.layers import layers_of, preprocessing_of, read_preprocessing, write_preprocessing
from layerwise.study.layout import (
    ANALYSES,
    FINETUNED_FILES,
    FINETUNING_ANALYSES,
    HISTORY,
    PREDICTIONS,
    PRETRAINED,
    WEIGHTS,
    Layout,
    layout_of,
)
from layerwise.study.networks import network_settings
from layerwise.study.paper import differs_from_paper
from layerwise.study.plan import Job, Plan, Plans
from layerwise.study.preempted import end_waiting, preemption
from layerwise.study.profiles import (
    networks_of,
    own_split,
    profiled_networks,
    scored_ratings,
    trained_weights,
    weights_files,
)
from layerwise.study.ratings import method_of
from layerwise.study.regions import Region, brain_columns, find_region, main_columns, regions
from layerwise.study.resources import RuleResources
from layerwise.study.results import (
    activations_for,
    brain_scores,
    described_tables,
    drawn_scores,
    final_results,
    main_region,
    pca_pixels_for,
    penultimate_results,
    penultimate_weights,
    pixels_for,
    rating_scores,
)
from layerwise.study.slurm import ClusterRequests, require_cluster, signed
from layerwise.study.software import keep_lock, lock_of_jobs, share_code
from layerwise.study.stages import StageLines, Stages
from layerwise.study.staleness import Causes, code_of
from layerwise.study.stimuli import geometry_of, pca_geometry, stimulus_files

__all__ = [
    "ANALYSES",
    "FINETUNED_FILES",
    "FINETUNING_ANALYSES",
    "HISTORY",
    "PREDICTIONS",
    "PRETRAINED",
    "WEIGHTS",
    "Budget",
    "Causes",
    "ClusterRequests",
    "Job",
    "Layout",
    "Plan",
    "Plans",
    "Region",
    "RuleResources",
    "StageLines",
    "Stages",
    "accuracies_of",
    "activations_for",
    "brain_columns",
    "brain_scores",
    "code_of",
    "described_tables",
    "differs_from_paper",
    "drawn_scores",
    "end_waiting",
    "families_of",
    "final_results",
    "find_notes",
    "find_region",
    "finetuned_models",
    "finetuned_ratings",
    "finetuned_results",
    "finetuned_splits",
    "finetuning_geometry",
    "finetuning_groups",
    "finetuning_of",
    "finetuning_pixels_for",
    "fingerprint",
    "geometry_of",
    "imagenet_fingerprint",
    "keep_lock",
    "kept_activations",
    "layers_of",
    "layout_of",
    "lock_of_jobs",
    "main_columns",
    "main_region",
    "method_of",
    "network_facts",
    "network_settings",
    "networks_of",
    "own_split",
    "own_weights",
    "pass_on_interrupts",
    "pca_geometry",
    "pca_pixels_for",
    "penultimate_results",
    "penultimate_weights",
    "pixels_for",
    "preemption",
    "preprocessing_of",
    "present",
    "profiled_networks",
    "rating_scores",
    "read_preprocessing",
    "regions",
    "require_cluster",
    "require_room",
    "require_sound",
    "require_there",
    "require_weights",
    "scored_ratings",
    "set_aside",
    "share_code",
    "signed",
    "splits_of",
    "stimulus_files",
    "tell_attempt",
    "trained_weights",
    "weights_files",
    "write_preprocessing",
]
