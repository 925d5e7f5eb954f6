"""The results of a study: an object that reads them when they are asked for."""

from layerwise.interfaces import counted
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import xarray as xr

from layerwise.activations import ActivationStore
from layerwise.config import Study
from layerwise.config.models import FINETUNED
from layerwise.files.tables import read_table
from layerwise.interfaces import FITTED, MEASURES, PLS, Measure, column_of
from layerwise.results.kept import Kept
from layerwise.results.names import require
from layerwise.results.scores import as_array, giving, read_parts
from layerwise.study.layout import PREDICTIONS, Layout
from layerwise.study.stimuli import shared_stimuli


@dataclass(frozen=True)
class Tables(Mapping[str, pd.DataFrame]):
    """The tables of a study by name, each read when it is asked for.

    Parameters
    ----------
    files : mapping of str to path
        Where each lies.
    """

    files: Mapping[str, Path]

    def __getitem__(self, name: str) -> pd.DataFrame:
        require(name, self.files, "table")
        return read_table(self.files[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)

    def __repr__(self) -> str:
        return f"<tables: {', '.join(self)}>"


@dataclass(frozen=True, repr=False)
class Results:
    """The results of a study; made by `layerwise.open`.

    Parameters
    ----------
    folder : path
        That they lie in.
    config : Study
        The study as it was run, every default filled in.
    """

    folder: Path
    config: Study

    def __repr__(self) -> str:
        regions, ratings = ", ".join(self.regions) or "none", ", ".join(self.ratings) or "none"
        networks = counted(len(self.config.models), "network")
        return (
            f"<study {self.config.study}: {networks}; regions: {regions}; ratings: {ratings}>"
        )

    @property
    def layers(self) -> pd.DataFrame:
        """A row for each layer of all networks; docs/tables.md says what columns mean."""
        return read_table(self._layout.layers, ["model", "layer"])

    @property
    def tables(self) -> Tables:
        """All tables that there are, by name, as `tables["correlations"]`."""
        files = [*self.folder.glob("*.parquet"), *(self.folder / "tables").glob("*.parquet")]
        return Tables({path.stem: path for path in sorted(files)})

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the networks; also those that were trained on a split, where their layers are scored."""
        names = [entry.name for entry in self.config.models]
        trained = sorted(path.name for path in (self.folder / "models").glob(f"*{FINETUNED}*") if path.is_dir())
        return (*names, *(name for name in trained if name.rpartition(FINETUNED)[0] in names))

    @property
    def regions(self) -> tuple[str, ...]:
        """Names of the regions that have scores, in the order of layers.parquet."""
        found = {path.stem for path in (self.folder / "ceilings").glob("*.parquet")}
        scored = {path.name for path in (self.folder / "models").glob("*/brain/*") if path.is_dir()}
        columns = list(map(str, self.layers)) if Path(self._layout.layers).is_file() else []
        return tuple(sorted(found & scored, key=lambda name: (_place(name, columns), name)))

    @property
    def ratings(self) -> tuple[str, ...]:
        """Names of the sets of ratings."""
        return tuple(entry.name for entry in self.config.ratings)

    def scores(self, region: str, model: str | None = None, measure: Measure = PLS) -> xr.DataArray:
        """Read how well layers predict each neuroid of a region.

        Parameters
        ----------
        region : str
            Its name in the study.
        model : str, optional
            A network; default: all networks of the study, one after another along `layer`.
        measure : {"pls", "ridge", "rsa", "cka", "debiased_cka"}
            What layers are held against the region by.

        Returns
        -------
        DataArray [layer, split, neuroid]
            Pearson's r of held-out stimuli; NaN where it is not defined. The mean over splits of the median over
            neuroids is the region's column of layers.parquet. Of a measure that is one number a layer: [layer]. Along
            layer are the coordinates model, depth and units.

        Raises
        ------
        ValueError
            The study has no such region, network or measure, or its scores are not there.
        """
        require(region, self.regions, "region")
        require(measure, MEASURES, "measure")
        return self._of_models(model, lambda one: self._scores(one, region, measure))

    def accuracies(self, ratings: str, model: str | None = None) -> xr.DataArray:
        """Read how well layers predict ratings of images.

        Parameters
        ----------
        ratings : str
            Their name in the study.
        model : str, optional
            A network; default: all networks of the study, one after another along `layer`.

        Returns
        -------
        DataArray [layer, split]
            Spearman's rho of held-out images.

        Raises
        ------
        ValueError
            The study has no such ratings or network, or its scores are not there.
        """
        require(ratings, self.ratings, "set of ratings")
        return self._of_models(model, lambda one: self._accuracies(one, ratings))

    def ceilings(self, region: str) -> xr.DataArray:
        """Read the reliability of each neuroid of a region: DataArray [half, neuroid], of random halvings.

        Raises
        ------
        ValueError
            The study has no such region.
        """
        require(region, self.regions, "region")
        wide = self._ceilings(region).pivot(index="half", columns="neuroid", values="ceiling")
        names = self._neuroids(region)
        return xr.DataArray(
            wide[names].to_numpy(float),
            dims=("half", "neuroid"),
            coords={"half": list(wide.index), "neuroid": names},
            name="ceiling",
        )

    def activations(self, model: str, stimuli: str) -> Kept:
        """Open what is kept of the layers of a network.

        Parameters
        ----------
        model : str
            The network.
        stimuli : str
            Name of a recording or of ratings.

        Returns
        -------
        Kept
            For each layer an array [stimulus, unit], or the Gram matrix [stimulus, other], read when it is asked for.

        Raises
        ------
        ValueError
            The study has no such network or stimuli, or keeps no activations to these.
        """
        require(model, self.models, "network")
        require(stimuli, self.config.stimulus_sets(), "recording or set of ratings")
        path = Path(self._layout.activations(model, shared_stimuli(self.config, stimuli)))
        if not path.is_file():
            raise ValueError(f"no activations of {model} to {stimuli} are in {self.folder}: {self._why_none(stimuli)}")
        store = ActivationStore(path, model)
        return Kept(store, self._same_as(model) or {layer.name: layer.name for layer in store.layers})

    @property
    def predictions(self) -> pd.DataFrame:
        """What fine-tuned networks predict: rows of model, split, part ("val" or "test"), stimulus, score, predicted.

        Raises
        ------
        ValueError
            No network was fine-tuned.
        """
        anywhere = Path(self._layout.finetuned("*", "*", PREDICTIONS)).relative_to(self.folder)
        files = sorted(self.folder.glob(str(anywhere)))
        if not files:
            raise ValueError(f"no network of {self.folder} was fine-tuned: no predictions are there")
        tables = [read_table(path, ["stimulus", "split"]).assign(model=path.parents[2].name) for path in files]
        columns = ["model", "split", "part", "stimulus", "score", "predicted"]
        return pd.concat(tables, ignore_index=True)[columns]

    @property
    def _layout(self) -> Layout:
        return Layout(str(self.folder))

    def _of_models(self, model: str | None, read: Callable[[str], xr.DataArray]) -> xr.DataArray:
        if model is not None:
            require(model, self.models, "network")
            return read(model)
        arrays = [read(entry.name) for entry in self.config.models]
        return xr.concat(arrays, "layer", join="exact", coords="minimal", compat="override")

    def _scores(self, model: str, region: str, measure: Measure) -> xr.DataArray:
        column, layers = column_of(region, measure), self._layers_of(model)
        self._require_column(column, region, measure, layers)
        rows = read_parts(Path(self._layout.brain(model, region, "")).parent, ("region", "r"), layers, column)
        if measure in FITTED:
            return as_array(rows, "r_neuroids", layers, self._neuroids(region)).rename("r")
        return as_array(rows, "r", layers).isel(split=0, drop=True).rename(measure)

    def _accuracies(self, model: str, ratings: str) -> xr.DataArray:
        measure, layers = self.config.rating(ratings).measure, self._layers_of(model)
        rows = read_parts(
            Path(self._layout.memorability(model, ratings, "")).parent, ("measure", "rho"), layers, measure
        )
        return as_array(rows, "rho", layers)

    def _layers_of(self, model: str) -> pd.DataFrame:
        return read_table(self._layout.model_layers(model), ["model", "layer"])

    def _require_column(self, column: str, region: str, measure: Measure, layers: pd.DataFrame) -> None:
        if column not in layers:
            there = [one for one in MEASURES if column_of(region, one) in layers]
            raise ValueError(f"{region} has no scores by {measure!r}; there are: {', '.join(there) or 'none'}")

    def _same_as(self, model: str) -> dict[str, str]:
        """Name, for each layer of a network, the one with its values; empty before the network is gathered."""
        if not Path(self._layout.model_layers(model)).is_file():
            return {}
        layers = self._layers_of(model)
        return dict(zip(layers["layer"], giving(layers), strict=True))

    def _ceilings(self, region: str) -> pd.DataFrame:
        return read_table(self._layout.ceiling(region), ["half", "neuroid", "ceiling"])

    def _neuroids(self, region: str) -> list[str]:
        """Names of a region's neuroids, in the order of its recordings."""
        table = self._ceilings(region)
        return list(table.loc[table["half"] == table["half"].min(), "neuroid"])

    def _why_none(self, stimuli: str) -> str:
        rated = stimuli in self.ratings
        if self.config.storage.activations == "temporary":
            return (
                "they were temporary, and removed once its layers were scored; set `storage: {activations: keep}` and "
                "run the workflow again"
            )
        streamed = f", and are never kept of ratings of more than {self.config.memorability.small:,} images"
        return f"they are not extracted yet{streamed if rated else ''}"


def _place(region: str, columns: list[str]) -> int:
    """Return which of the columns is the first of a region, by any measure."""
    names = [column_of(region, measure) for measure in MEASURES]
    return next((place for place, column in enumerate(columns) if column in names), len(columns))
