"""The types that the rooms of the package pass to each other: data only, and words for numbers; no import of ours.

Arrays are numpy arrays; a shape is written as ``[stimulus, neuroid]`` after the field's terms.
"""

from layerwise.interfaces.counting import agreeing, counted
from layerwise.interfaces.data import Distances, RatedImages, Ratings, Recordings, Split, StimulusSet
from layerwise.interfaces.finetuning import FinetuneSettings
from layerwise.interfaces.images import Geometry, Pixels, Preprocessing
from layerwise.interfaces.measures import (
    FITTED,
    MEASURES,
    PLS,
    RSA,
    Comparison,
    Distance,
    Measure,
    MeasureSettings,
    column_of,
    measured_as,
)
from layerwise.interfaces.networks import LayerChoice, LayerSpec, ModelSpec
from layerwise.interfaces.reporting import (
    DegenerateWarning,
    Progress,
    Stop,
    StoppedError,
    never,
    no_progress,
    until_asked,
)

__all__ = [
    "FITTED",
    "MEASURES",
    "PLS",
    "RSA",
    "Comparison",
    "DegenerateWarning",
    "Distance",
    "Distances",
    "FinetuneSettings",
    "Geometry",
    "LayerChoice",
    "LayerSpec",
    "Measure",
    "MeasureSettings",
    "ModelSpec",
    "Pixels",
    "Preprocessing",
    "Progress",
    "RatedImages",
    "Ratings",
    "Recordings",
    "Split",
    "StimulusSet",
    "Stop",
    "StoppedError",
    "agreeing",
    "column_of",
    "counted",
    "measured_as",
    "never",
    "no_progress",
    "until_asked",
]
