"""The config of a study: pydantic models, one file for each section, and error messages that suggest what was meant."""

from layerwise.config.cluster import Cluster, validate_cluster
from layerwise.config.load import dump_study, load_study, strays_of, validate_study
from layerwise.config.paths import still_said
from layerwise.config.study import Study

__all__ = [
    "Cluster",
    "Study",
    "dump_study",
    "load_study",
    "still_said",
    "strays_of",
    "validate_cluster",
    "validate_study",
]
