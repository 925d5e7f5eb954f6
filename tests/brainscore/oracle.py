"""Runs in Brain-Score's environment: random assemblies, exported, and scored by Brain-Score itself.

python oracle.py EXPORTER FOLDER SEED [time]
"""

import importlib.util
import os
import sys
from pathlib import Path

os.environ["BS_INSTALL_DEPENDENCIES"] = "no"
os.environ["RESULTCACHING_DISABLE"] = "1"

import numpy as np
import pandas as pd
import xarray as xr
from brainscore_core.supported_data_standards.brainio.assemblies import (
    NeuroidAssembly,
    NeuronRecordingAssembly,
    StimulusMergeAssemblyLoader,
)
from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet
from brainscore_vision import load_ceiling, load_metric
from brainscore_vision.benchmark_helpers.neural_common import average_repetition, explained_variance
from PIL import Image

N_IMAGES, N_UNITS, N_REPETITIONS, OBJECTS = 96, 150, 8, 6
NEUROIDS = {"V4": 7, "IT": 11}
WINDOW = (70, 170)


def load_exporter(path):
    spec = importlib.util.spec_from_file_location("export_brainscore", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["export_brainscore"] = module
    spec.loader.exec_module(module)
    return module


def simulate(rng, ids, with_time):
    latent = rng.normal(size=(N_IMAGES, 12))
    features = latent @ rng.normal(size=(12, N_UNITS)) + 2 * rng.normal(size=(N_IMAGES, N_UNITS))
    signal = latent @ rng.normal(size=(12, sum(NEUROIDS.values())))
    shape = (N_REPETITIONS, N_IMAGES, signal.shape[1], 12 if with_time else 1)
    # Bins of 10 ms from 60 to 180, of which the window takes ten; or one bin.
    starts, step = (np.arange(60, 180, 10), 10) if with_time else (np.array([70]), 100)
    responses = signal[None, :, :, None] + 4 * rng.normal(size=shape)
    return features, responses, (starts, starts + step)


def assemblies(rng, ids, objects, features, responses, bins):
    n = N_REPETITIONS * N_IMAGES
    order = rng.permutation(n)  # presentations come in any order
    regions = np.repeat(list(NEUROIDS), list(NEUROIDS.values()))
    names = np.concatenate([np.arange(count) for count in NEUROIDS.values()])  # each region counts from 0
    rotation = rng.normal(size=N_IMAGES)  # comes first, so Brain-Score sorts by it
    presentations = {
        "rotation": ("presentation", np.tile(rotation, N_REPETITIONS)[order]),
        "object_name": ("presentation", np.tile(objects, N_REPETITIONS)[order]),
        "stimulus_id": ("presentation", np.tile(ids, N_REPETITIONS)[order]),
        "repetition": ("presentation", np.repeat(np.arange(N_REPETITIONS), N_IMAGES)[order]),
        "variation": ("presentation", np.tile(np.arange(N_IMAGES) % 3, N_REPETITIONS)[order]),
    }
    recordings = NeuronRecordingAssembly(
        responses.reshape(n, len(regions), -1)[order],
        coords={
            **presentations,
            "neuroid_id": ("neuroid", names),
            "region": ("neuroid", regions),
            "animal": ("neuroid", np.resize(["Chabo", "Tito"], len(regions))),
            "time_bin_start": ("time_bin", bins[0]),
            "time_bin_end": ("time_bin", bins[1]),
        },
        dims=["presentation", "neuroid", "time_bin"],
    )
    source = NeuroidAssembly(
        features,
        coords={
            "stimulus_id": ("presentation", ids),
            "object_name": ("presentation", objects),
            "neuroid_id": ("neuroid", np.arange(N_UNITS)),
            "layer": ("neuroid", ["layer"] * N_UNITS),
        },
        dims=["presentation", "neuroid"],
    )
    return source, recordings


def draw_images(rng, ids, objects, folder):
    stimuli = StimulusSet({"stimulus_id": ids, "object_name": objects})
    stimuli.stimulus_paths = {}
    folder.mkdir(parents=True)
    for stimulus in ids:
        path = folder / f"{stimulus} é.png"  # a name with a space and an accent
        Image.fromarray(rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)).save(path)
        stimuli.stimulus_paths[stimulus] = path
    return stimuli


def through_files(recordings, stimuli, folder):
    """Write the files that Brain-Score's bucket holds, and read them as it does once they are downloaded."""
    stored = recordings.reset_index(list(recordings.dims)).rename(stimulus_id="image_id")  # the name of 2020
    stored = xr.DataArray(stored.values, coords=dict(stored.coords), dims=stored.dims)
    stored.to_netcdf(folder / "assy.nc")
    names = [path.name for path in stimuli.stimulus_paths.values()]
    table = {"image_id": stimuli["stimulus_id"], "filename": names, "background": np.arange(len(names)) % 5}
    pd.DataFrame(table).to_csv(folder / "stimulus.csv", index=False)
    stimuli = StimulusSet.from_files(folder / "stimulus.csv", folder / "originals")
    loader = StimulusMergeAssemblyLoader(
        cls=NeuronRecordingAssembly,
        file_path=folder / "assy.nc",
        stimulus_set_identifier="random",
        stimulus_set=stimuli,
    )
    recordings = loader.load()
    return recordings, recordings.attrs["stimulus_set"]


def of_region(recordings, region):
    """As Brain-Score's own benchmarks prepare a region."""
    inside = [(start, stop) for start, stop in recordings["time_bin"].values if start >= 70 and stop <= 170]
    one = recordings.sel(region=region)
    one["region"] = "neuroid", [region] * len(one["neuroid"])
    return one.sel(time_bin=inside).mean(dim="time_bin", keep_attrs=True).transpose("presentation", "neuroid")


def score(source, recordings, results, region):
    one = of_region(recordings, region)
    metric = load_metric("pls", crossvalidation_kwargs={"stratification_coord": "object_name"})
    result = metric(source, average_repetition(one))
    ceiling = load_ceiling("internal_consistency")(one)
    results[f"{region}_r"] = result.attrs["raw"].transpose("split", "neuroid").values
    results[f"{region}_centre"] = result.values
    results[f"{region}_error"] = np.asarray(result.attrs["error"])
    results[f"{region}_ceilings"] = ceiling.attrs["raw"].transpose("split", "neuroid").values
    results[f"{region}_ceiling"] = ceiling.values
    results[f"{region}_ceiled_2020"] = (result.values / ceiling.values) ** 2
    results[f"{region}_ceiled_2026"] = explained_variance(result, ceiling).values


def main(exporter, folder, seed, *, with_time, from_file):
    exporter, folder, rng = load_exporter(exporter), Path(folder), np.random.default_rng(seed)
    ids = np.array([f"image-{number:03d}" for number in rng.permutation(N_IMAGES)])
    objects = rng.permutation(np.resize([f"object{number}" for number in range(OBJECTS)], N_IMAGES))
    features, responses, bins = simulate(rng, ids, with_time)
    source, recordings = assemblies(rng, ids, objects, features, responses, bins)
    stimuli = draw_images(rng, ids, objects, folder / "originals")
    if from_file:
        recordings, stimuli = through_files(recordings, stimuli, folder)
    protocol = exporter.Protocol(WINDOW, 8, "object_name")
    exporter.export(recordings, stimuli, protocol, folder / "exported.nc", folder / "images", "a random assembly")
    results = {"ids": ids, "features": features, "objects": objects, "versions": versions()}
    for region in NEUROIDS:
        score(source, recordings, results, region)
    np.savez(folder / "oracle.npz", **results)


def versions():
    import sklearn
    import xarray

    return np.array(
        [
            f"numpy {np.__version__}",
            f"scikit-learn {sklearn.__version__}",
            f"xarray {xarray.__version__}",
            f"pandas {pd.__version__}",
        ]
    )


if __name__ == "__main__":
    main(*sys.argv[1:3], int(sys.argv[3]), with_time="time" in sys.argv[4:], from_file="file" in sys.argv[4:])
