"""The whole config: one study."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Self, TypeVar

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from layerwise.config.base import Degrees, Name, Section
from layerwise.config.data import RatingEntry, RecordingEntry
from layerwise.config.finetuning import FinetuningSettings, check_finetuning
from layerwise.config.models import FINETUNED, FineTunedEntry, Layers, LayerSettings, ModelEntry
from layerwise.config.settings import (
    BrainSettings,
    ComputeSettings,
    ImagenetSettings,
    MemorabilitySettings,
    RegressionSettings,
    StorageSettings,
)
from layerwise.config.statistics import StatisticsSettings
from layerwise.interfaces import FITTED, PLS, RSA, Measure

Entry = TypeVar("Entry", ModelEntry, RecordingEntry, RatingEntry)


PCA_IMAGES = "pca_images"
"""Name of the set of images on which principal components are fitted."""


def _named(entry: Any) -> Any:
    return {"name": entry} if isinstance(entry, str) else entry


class Study(Section):
    """One study: networks, what they are to predict, and how."""

    study: Name
    """Name of the study, and of its folder of results."""
    layers: Layers = LayerSettings()
    """Which modules of networks are layers; a network may have `layers` of its own, whose keys go before these."""
    models: list[Annotated[ModelEntry, BeforeValidator(_named)]] = Field(min_length=1)
    """The networks: names that layerwise knows, or entries of your own."""
    recordings: list[RecordingEntry] = Field(default_factory=list)
    """Files of neural responses."""
    ratings: list[RatingEntry] = Field(default_factory=list)
    """Behavioural scores of images."""
    brain: BrainSettings = BrainSettings()
    """What is done to layers before they are compared with the brain."""
    screen_degrees: Degrees = 8
    """Visual angle that a network's input is taken to cover: stimuli of 4 degrees are placed on a grey canvas twice
    their size (Brain-Score's default is 8)."""
    accuracy_gate: bool = False
    """Whether a network must reach its published ImageNet accuracy before its layers are analysed, which shows wrong
    weights and wrong preprocessing. Only networks that layerwise knows, with their official weights, have a
    published accuracy; `layerwise check-config` lists those that are not checked."""
    imagenet: ImagenetSettings = ImagenetSettings()
    """Where ImageNet's validation images lie; only the gate needs them."""
    regression: RegressionSettings = RegressionSettings()
    """Partial least squares."""
    memorability: MemorabilitySettings = MemorabilitySettings()
    """How scores of images are predicted."""
    finetuning: FinetuningSettings | None = None
    """Networks that are trained on to predict ratings, split by split, and what this does to how well they predict the
    brain (figure 3); null: none is."""
    statistics: StatisticsSettings = StatisticsSettings()
    """How certain what is said of all layers is."""
    compute: ComputeSettings = ComputeSettings()
    """Size of a job."""
    storage: StorageSettings = StorageSettings()
    """What is kept, and where."""

    @field_validator("models")
    @classmethod
    def _choose_layers(cls: type[Self], models: list[ModelEntry], known: ValidationInfo) -> list[ModelEntry]:
        """Give each network the layers that the study names, but for what its own entry says."""
        ours = known.data.get("layers", LayerSettings())
        return [
            entry if ours == LayerSettings() else entry.model_copy(update={"layers": _joined(ours, entry.layers)})
            for entry in models
        ]

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        _must_differ("models", (entry.name for entry in self.models))
        taken = [entry.name for entry in self.models if FINETUNED in entry.name]
        if taken:
            raise ValueError(f"models: {taken[0]!r} is named as fine-tuned networks are: leave out {FINETUNED!r}")
        _must_differ("recordings and ratings (pca_images is taken by brain.pca)", self.stimulus_sets())
        _measures_must_differ(self.ratings)
        for entry in self.recordings:
            names = entry.regions.values() if isinstance(entry.regions, dict) else entry.regions or ()
            _must_differ(f"the regions of {entry.name}", names)
        return self

    @model_validator(mode="after")
    def _pca_leaves_enough(self) -> Self:
        pca, wanted = self.brain.pca, self.regression.components
        if pca is not None and pca.components < wanted:
            raise ValueError(
                f"brain.pca.components ({pca.components}) leaves fewer than the {wanted} latent variables of "
                "regression.components: raise it, or lower the other"
            )
        return self

    @model_validator(mode="after")
    def _finetuning_is_possible(self) -> Self:
        distances = [entry.name for entry in self.recordings if entry.is_rdm]
        if self.finetuning is not None and distances:
            raise ValueError(
                f"the recording {distances[0]!r} is an RDM, and networks that are fine-tuned are held against "
                "responses alone: leave it out, or `finetuning`"
            )
        if self.finetuning is not None:
            check_finetuning(self.finetuning, self.models, self.ratings)
        return self

    @model_validator(mode="after")
    def _families_are_of_networks(self) -> Self:
        for name in self.statistics.families:
            _find(self.models, name, "model")
        return self

    @model_validator(mode="after")
    def _measures_are_possible(self) -> Self:
        measures = [one for entry in self.recordings for one in self.measures_of(entry.name)]
        others = [one for one in measures if one != PLS]
        if others and self.brain.pca is not None:
            raise ValueError(
                f"brain.pca reduces layers for PLS alone, and the measure {others[0]!r} takes them whole: leave out "
                "one of the two"
            )
        single = [one for one in measures if one not in FITTED]
        if single and self.statistics.neuroids is not None:
            raise ValueError(
                f"statistics.neuroids draws samples of neuroids, and {single[0]!r} has no value for each neuroid: "
                "leave out one of the two"
            )
        return self

    def measures_of(self, recording: str) -> list[Measure]:
        """The measures of a recording of the study."""
        entry = self.recording(recording)
        return [RSA] if entry.is_rdm else entry.measures or self.brain.measures

    def stimulus_sets(self) -> list[str]:
        """Names of the sets of images: one each of recordings and ratings, and that of the principal components."""
        own = [PCA_IMAGES] if self.brain.pca else []
        return [entry.name for entry in self.recordings] + [entry.name for entry in self.ratings] + own

    def model_entry(self, name: str) -> ModelEntry:
        """The entry of a network of the study; `MODEL.finetuned-SPLIT` names what training on a split made of it."""
        network, mark, split = name.rpartition(FINETUNED)
        if mark:
            return FineTunedEntry.of(_find(self.models, network, "model"), split)
        return _find(self.models, name, "model")

    def recording(self, name: str) -> RecordingEntry:
        """The entry of a recording of the study."""
        return _find(self.recordings, name, "recording")

    def rating(self, name: str) -> RatingEntry:
        """The entry of a set of ratings of the study."""
        return _find(self.ratings, name, "rating")


def _joined(ours: LayerSettings, own: LayerSettings | None) -> LayerSettings:
    given = own.model_dump(exclude_unset=True) if own else {}
    return LayerSettings.model_validate(ours.model_dump() | given)


def _must_differ(what: str, names: Iterable[str]) -> None:
    given = list(names)
    twice = sorted(name for name, count in Counter(given).items() if count > 1)
    if twice:
        raise ValueError(f"names must differ among {what}, but given twice: {', '.join(twice)}")
    folded = Counter(name.casefold() for name in given)
    alike = sorted(name for name in given if folded[name.casefold()] > 1)
    if alike:
        raise ValueError(
            f"names must differ among {what} in more than case, since some disks make one folder of them: "
            f"{', '.join(alike)}"
        )


def _measures_must_differ(ratings: list[RatingEntry]) -> None:
    try:
        _must_differ("the measures of ratings", (entry.measure for entry in ratings))
    except ValueError as error:
        alike = Counter(entry.measure.casefold() for entry in ratings)
        name = [entry.name for entry in ratings if alike[entry.measure.casefold()] > 1][-1]
        raise ValueError(
            f"{error}; each needs a column of layers.parquet of its own: give another, such as `measure: {name}`, "
            f"under the ratings {name!r}"
        ) from None


def _find(entries: list[Entry], name: str, what: str) -> Entry:
    for entry in entries:
        if entry.name == name:
            return entry
    raise ValueError(f"no {what} {name!r} in the study; there are: {', '.join(entry.name for entry in entries)}")
