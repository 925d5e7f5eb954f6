"""Where everything lies in a study's folder of results: each path is spelled here, and nowhere else."""

from dataclasses import dataclass

from layerwise.config import Study

FIGURE_FORMATS = ("pdf", "svg", "png")
ANALYSES = (
    *("within_between", "per_network", "families", "layer_types"),
    *("comparisons", "partial", "commonality", "mixed"),
)
"""Tables that `analyse_layers` makes."""
FINETUNING_ANALYSES = ("finetuning_change", "finetuning_networks")
"""Tables that `compare_finetuning` makes."""
WEIGHTS, HISTORY, PREDICTIONS = "weights.safetensors", "history.parquet", "predictions.parquet"
SCORES = "scores.parquet"
PRETRAINED = "pretrained"  # in the paths of what a network gave before it was trained on; afterwards, its split
FINETUNED_FILES = (HISTORY, PREDICTIONS, WEIGHTS)  # of a network that was trained on a split


@dataclass(frozen=True)
class Layout:
    """The paths below one folder of results, as text: rules ask with names of wildcards, steps with those of a study.

    Parameters
    ----------
    folder : str
        The study's folder.
    """

    folder: str

    @property
    def config(self) -> str:
        """The study as it was validated, every default filled in."""
        return f"{self.folder}/config.yaml"

    # --- stimuli and networks -------------------------------------------------------------------------------------

    def pixels(self, stimuli: str, geometry: str) -> str:
        """Pixels of a stimulus set, cut for all networks of one geometry."""
        return f"{self.folder}/stimuli/{stimuli}/{geometry}.h5"

    def model(self, model: str) -> str:
        """Folder of all that is known about a network."""
        return f"{self.folder}/models/{model}"

    def manifest(self, model: str) -> str:
        """Layers of an own network."""
        return f"{self.model(model)}/manifest.tsv"

    def skipped(self, model: str) -> str:
        """Modules of an own network that are no layers, and why."""
        return f"{self.model(model)}/skipped.tsv"

    def preprocessing(self, model: str) -> str:
        """What an own network expects of its input."""
        return f"{self.model(model)}/preprocessing.json"

    def accuracy(self, model: str) -> str:
        """Proof that a network reaches its published accuracy."""
        return f"{self.model(model)}/accuracy.json"

    def activations(self, model: str, stimuli: str) -> str:
        """A network's activations to a stimulus set."""
        return f"{self.model(model)}/activations/{stimuli}.h5"

    # --- scores ---------------------------------------------------------------------------------------------------

    def ceiling(self, region: str) -> str:
        """Ceilings of the neuroids of a region."""
        return f"{self.folder}/ceilings/{region}.parquet"

    def consistency(self, ratings: str) -> str:
        """Consistency of the raters of a set of ratings."""
        return f"{self.folder}/consistency/{ratings}.parquet"

    def brain(self, model: str, region: str, block: str) -> str:
        """Scores of a block of layers against a region."""
        return f"{self.model(model)}/brain/{region}/{block}.parquet"

    def memorability(self, model: str, ratings: str, block: str) -> str:
        """Scores of a block of layers against ratings."""
        return f"{self.model(model)}/memorability/{ratings}/{block}.parquet"

    # --- fine-tuned networks --------------------------------------------------------------------------------------

    def finetuned_folder(self, model: str) -> str:
        """What a network became that was trained on: a folder for each split."""
        return f"{self.model(model)}/finetuned"

    def finetuned(self, model: str, split: str, file: str) -> str:
        """A file of a network that was trained on a split, one of `FINETUNED_FILES`."""
        return f"{self.finetuned_folder(model)}/{split}/{file}"

    def finetuning_states(self, model: str) -> str:
        """Folder in which a network's training keeps what it needs to go on."""
        return self.scratch("finetune_network", model, ending="states")

    def penultimate_folder(self, model: str) -> str:
        """Folder in which the pretrained weights of a network, and each split, get one."""
        return f"{self.model(model)}/penultimate"

    def penultimate(self, model: str, weights: str, stimuli: str) -> str:
        """What the head of a network sees of a stimulus set, with weights `pretrained` or of a split."""
        return f"{self.penultimate_folder(model)}/{weights}/{stimuli}.h5"

    def penultimate_scores(self, model: str, weights: str) -> str:
        """Scores of that against all regions."""
        return f"{self.penultimate_folder(model)}/{weights}/{SCORES}"

    def model_finetuned(self, model: str) -> str:
        """A row for each split that a network was trained on."""
        return f"{self.model(model)}/finetuned.parquet"

    @property
    def finetuned_table(self) -> str:
        """A row for each split that each network was trained on."""
        return f"{self.folder}/finetuned.parquet"

    @property
    def finetuned_layers(self) -> str:
        """A row for each layer of each fine-tuned network that is profiled."""
        return f"{self.folder}/finetuned_layers.parquet"

    def history_figure(self, model: str) -> list[str]:
        """The epochs of a network's training on all splits, in all formats."""
        return [f"{self.folder}/figures/history/{model}.{ending}" for ending in FIGURE_FORMATS]

    # --- tables and figures ---------------------------------------------------------------------------------------

    def model_layers(self, model: str) -> str:
        """A row for each layer of one network."""
        return f"{self.model(model)}/layers.parquet"

    def drawn(self, model: str) -> str:
        """Scores of a network's layers in samples of neuroids."""
        return f"{self.model(model)}/neuroids.parquet"

    @property
    def layers(self) -> str:
        """A row for each layer of all networks."""
        return f"{self.folder}/layers.parquet"

    def table(self, name: str, ending: str = "parquet") -> str:
        """A table of the study: correlations, models, or layers as CSV."""
        return f"{self.folder}/tables/{name}.{ending}"

    def analyses(self, names: tuple[str, ...] = ANALYSES) -> list[str]:
        """Tables of the study, each in both its formats."""
        return [self.table(name, ending) for name in names for ending in ("parquet", "csv")]

    def figure(self, name: str) -> list[str]:
        """A figure in all its formats."""
        return [f"{self.folder}/figures/{name}.{ending}" for ending in FIGURE_FORMATS]

    @property
    def report(self) -> str:
        """The page on which the study is explored."""
        return f"{self.folder}/report.html"

    # --- what jobs leave ------------------------------------------------------------------------------------------

    def log(self, step: str, *names: str) -> str:
        """What a job said."""
        return f"{self._job('logs', step, names)}.log"

    def benchmark(self, step: str, *names: str) -> str:
        """Time and memory of a job."""
        return f"{self._job('logs', step, names)}.tsv"

    def scratch(self, step: str, *names: str, ending: str) -> str:
        """What a job keeps until it ends, so that a killed one can be resumed."""
        return f"{self._job('scratch', step, names)}.{ending}"

    @property
    def mistakes(self) -> str:
        """Folder of what jobs said that failed by a mistake, so that it is not repeated within a run."""
        return f"{self.folder}/scratch/mistakes"

    def _job(self, room: str, step: str, names: tuple[str, ...]) -> str:
        return "/".join((self.folder, room, step, *names))


def layout_of(study: Study) -> Layout:
    """Return where a study's results lie."""
    return Layout(f"{study.storage.results}/{study.study}")
