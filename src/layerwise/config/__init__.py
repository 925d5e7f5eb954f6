"""The config of a study: pydantic models, one file for each section, and error messages that suggest what was meant."""

from layerwise.config.load import dump_study, load_study, validate_study
from layerwise.config.study import Study

__all__ = ["Study", "dump_study", "load_study", "validate_study"]
