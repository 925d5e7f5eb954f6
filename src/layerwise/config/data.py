"""The sections ``recordings`` and ``ratings``: what the layers are to predict."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from layerwise.config.base import MOST, ColumnName, Degrees, GivenPath, Name, Section, Seed
from layerwise.config.settings import Measures
from layerwise.interfaces import RSA

_SETTINGS = {"brain": "square", "imagenet": "crop"}
Setting = Annotated[
    Literal["square", "crop"],
    BeforeValidator(
        lambda given: _SETTINGS.get(given, given) if isinstance(given, str) else given,
        json_schema_input_type=Literal["square", "crop", "brain", "imagenet"],
    ),
]


UNUSED = {"given": ("n_splits", "train_size", "seed", "order"), "kfold": ("train_size",)}
"""Keys of splits that a method has no use for: their defaults stand in the config that a run writes."""
WORDS = {
    "given": "which makes one split, of the parts that a property names",
    "kfold": "which tests each stimulus once",
}


class SplitsEntry(Section):
    """How the stimuli of a recording are divided into training and test."""

    method: Literal["shuffle", "grouped", "kfold", "given"] = "shuffle"
    """`shuffle`: repeated hold-out, as Brain-Score does it. `grouped`: the same with whole groups held out, so that
    frames of one movie are never on both sides. `kfold`: each stimulus is tested once. `given`: one split, whose parts
    a property of the stimuli names."""
    by: str | None = None
    """For `shuffle`, the property whose shares are kept equal (Brain-Score: texture_type, object_name); for `grouped`
    and `kfold`, the property that names the groups; for `given`, the one that names the parts."""
    train: str = "train"
    """For `given`, the value of the training stimuli."""
    test: str = "test"
    """For `given`, the value of the test stimuli; stimuli of other values are left out."""
    n_splits: int = Field(10, ge=2, le=MOST)
    """Number of splits, or of folds."""
    train_size: float = Field(0.9, gt=0, lt=1)
    """Share of the stimuli (or groups) to train on; `kfold` does not use it."""
    seed: Seed = 1
    """Seed of the splits."""
    order: str | None = None
    """The property on whose order splits are drawn; default: the ids. `brainscore_rank`, in files exported from
    Brain-Score, gives exactly its splits."""

    @model_validator(mode="after")
    def _groups_named(self) -> Self:
        if self.method == "grouped" and self.by is None:
            raise ValueError("splits by groups need `by`: the property of the stimuli that names the groups")
        if self.method == "given" and self.by is None:
            raise ValueError(
                "given splits need `by`: the property of the stimuli that names the training and test part"
            )
        if self.method != "given" and (self.train, self.test) != ("train", "test"):
            raise ValueError(f"`train` and `test` name parts of given splits, not of {self.method!r}: `method: given`")
        if self.method == "given" and self.train == self.test:
            raise ValueError(f"`train` and `test` are both {self.train!r}: no stimulus can be in both parts")
        return self

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Self:
        fields, unused = type(self).model_fields, UNUSED.get(self.method, ())
        given = [name for name in unused if getattr(self, name) != fields[name].default]
        if given:
            raise ValueError(
                f"`{given[0]}` has no use with `method: {self.method}`, {WORDS[self.method]}: leave it out, or choose "
                "another method"
            )
        return self


class RecordingEntry(Section):
    """One file of neural responses; `layerwise simulate` writes an example of the format."""

    name: Name
    """Name in the study."""
    file: GivenPath
    """netCDF4: responses [presentation, neuroid] with stimulus, repetition, neuroid and region. Or, where no responses
    are published, a CSV of the distances between stimuli (an RDM): names of image files in its first row and column. A
    layer is held against it by `rsa` alone."""
    images: GivenPath | None = None
    """Folder of the images; default: the one that the file names."""
    regions: list[Name] | dict[str, Name] | None = None
    """Regions to score, or a mapping of the file's names to names in the study; default: all in the file."""
    animals: list[str] | None = Field(None, min_length=1)
    """Animals whose neuroids are scored, where the file tells them apart; default: all."""
    splits: SplitsEntry = SplitsEntry()
    """How stimuli are divided into training and test."""
    geometry: Setting = "square"
    """`square`, or `brain`: the whole image, resized (bilinear) without keeping its aspect, Brain-Score's way; `crop`,
    or `imagenet`: resized, then the centre cropped, as the network was trained."""
    visual_degrees: Degrees | None = None
    """Side of the images as the animal saw them, degrees of visual angle; default: what the file says."""
    beyond_screen: Literal["cut", "fit"] = "cut"
    """What becomes of stimuli wider than `screen_degrees`: `cut`, their rim is lost (of 20 degrees on a screen of 8, 16
    % of the area is kept); `fit`, they are shown whole, as wide as the screen."""
    min_reliability: float | None = Field(None, gt=-1, lt=1)
    """Neuroids whose ceiling (mean over halvings of the repetitions) is lower are left out; default: none is."""
    measures: Measures | None = None
    """Measures of these recordings, instead of `brain.measures`."""
    brainscore: str | None = None
    """Brain-Score's name of the recordings, such as MajajHong2015.public: if `file` is not there, the workflow exports
    it, and the images."""

    @property
    def is_rdm(self) -> bool:
        """Whether the file holds distances between stimuli instead of responses to them."""
        return self.file.suffix.lower() == ".csv"

    @model_validator(mode="after")
    def _rdm_is_distances(self) -> Self:
        if not self.is_rdm:
            return self
        if self.images is None or self.regions is None or len(self.regions) != 1:
            raise ValueError(
                f"{self.file} holds distances between stimuli (an RDM), and says neither where the images are nor of "
                "which region it is: give `images: folder` and one region, `regions: [IT]`"
            )
        other = [one for one in self.measures or () if one != RSA]
        if other:
            raise ValueError(
                f"{self.file} holds distances between stimuli (an RDM) and no responses, so that {other[0]!r} cannot "
                "be computed: leave out `measures`, or give `[rsa]`"
            )
        settings = {name: getattr(self, name) for name in ("animals", "min_reliability", "brainscore")}
        given = [name for name, value in settings.items() if value is not None]
        given += ["splits"] if self.splits != SplitsEntry() else []
        if given:
            raise ValueError(
                f"{self.file} holds distances between stimuli (an RDM) and no responses, so that `{given[0]}` says "
                "nothing of it: leave it out"
            )
        return self

    @model_validator(mode="after")
    def _planned_before_export(self) -> Self:
        if self.brainscore and (self.images is None or self.regions is None or self.visual_degrees is None):
            raise ValueError(
                "recordings that are exported from Brain-Score need `images`, `regions` and `visual_degrees`: jobs are "
                "planned before the file is there"
            )
        return self


class RatingEntry(Section):
    """Behavioural scores of images: one number an image, in a CSV or in LaMem's own split files."""

    name: Name
    """Name in the study."""
    images: GivenPath
    """Folder of the images."""
    scores: GivenPath | None = None
    """CSV with a column of file names and one of scores."""
    splits: GivenPath | None = None
    """Folder of LaMem's split files, train_1.txt to test_5.txt, instead of `scores`."""
    image_column: str | None = None
    """Column of the file names, where the usual names do not tell."""
    score_column: str | None = None
    """Column of the scores, where the usual names do not tell."""
    rater_columns: list[str] | None = None
    """Columns of single raters, instead of a column of scores: the score of an image is the mean over its raters, and
    their consistency becomes a column of layers.parquet."""
    fold_column: str | None = None
    """Column that names the fold in which an image is tested, instead of `folds` and `seed`."""
    folds: int = Field(5, ge=2, le=MOST)
    """Number of folds for a CSV; LaMem brings its own splits."""
    seed: Seed = 1
    """Seed of the folds."""
    unscored_images: Literal["error", "ignore"] = "error"
    """What to do if the folder holds images without a score."""
    measure: ColumnName = "memorability"
    """What the scores measure: the name of the column in layers.parquet."""
    geometry: Setting = "crop"
    """As for recordings."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.scores is None) == (self.splits is None):
            raise ValueError("give either `scores` (a CSV) or `splits` (the folder of LaMem's split files)")
        if self.rater_columns is not None and self.scores is None:
            raise ValueError("`rater_columns` are columns of a CSV: give it as `scores`")
        return self
