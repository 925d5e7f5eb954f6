"""A study's tables from a stated model, so that statistics, figures and reports can be tried at full size."""

from pathlib import Path

from layerwise.config import Study, dump_study, validate_study
from layerwise.data.simulate_tables import SimulatedNetwork, simulate_finetuned, simulate_layers
from layerwise.files import atomic_path
from layerwise.files.tables import write_both, write_table
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.models import registry
from layerwise.models.families import family_of
from layerwise.steps.statistics import correlate_layers
from layerwise.steps.tables import summarise_models
from layerwise.study import Layout


def simulate_tables(folder: Path, seed: int = 1, undefined: int = 0) -> None:
    """Write the tables of the paper's study, simulated, where a study has its own, and a config that goes with them.

    Parameters
    ----------
    folder : path
        Its name becomes the study's.
    seed : int
        Decides everything.
    undefined : int
        Layers without scores.
    """
    study, layout, networks = _study(folder), Layout(str(folder)), _networks()
    layers = simulate_layers(networks, seed, undefined)
    write_both(layers, layout.layers, layout.table("layers", "csv"))
    write_table(simulate_finetuned(layers, networks, seed), layout.finetuned_table)
    for step, name in ((correlate_layers, "correlations"), (summarise_models, "models")):
        step(study, Path(layout.layers), Path(layout.table(name)), Path(layout.table(name, "csv")))
    with atomic_path(layout.config) as temporary:
        temporary.write_text(dump_study(study, folder), encoding="utf-8")


def _networks() -> dict[str, SimulatedNetwork]:
    """Return the paper's networks, with their own layers, families and published accuracies."""
    rows = [row for row in map(registry.find, registry.names()) if row.in_paper]
    manifests = {row.name: shipped_manifest(row.name) for row in rows}
    return {
        row.name: SimulatedNetwork(read_manifest(path), family_of(row.name), row.top1 or row.top1_stated)
        for row in rows
        if (path := manifests[row.name])
    }


def _study(folder: Path) -> Study:
    """Return a study of the paper's networks, regions and splits, whose data are files that need not be there."""
    regions = {"freemanziemba": ["V1", "V2"], "majajhong": ["V4", "IT"]}
    data = f"{folder}/simulated"
    return validate_study(
        {
            "study": folder.resolve().name,
            "models": list(_networks()),
            "recordings": [
                {"name": name, "file": f"{data}/{name}.nc", "regions": names} for name, names in regions.items()
            ],
            "ratings": [{"name": "lamem", "images": f"{data}/lamem", "splits": f"{data}/splits"}],
            "finetuning": {},
            "storage": {"results": str(folder.parent)},
        },
        f"{folder}: the folder's name is the study's, and",
    )
