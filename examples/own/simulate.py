"""Makes the files that fmri.yaml describes: betas of two subjects' voxels, each of which reads the colours of an image.

python examples/own/simulate.py results/own
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from layerwise.data.simulate import draw_stimuli

VOXELS = {("sub-01", "V4"): 20, ("sub-01", "LO"): 30, ("sub-02", "V4"): 25, ("sub-02", "LO"): 15}
N_IMAGES, N_REPETITIONS, MISSING = 80, 3, -9999


def main(folder: Path) -> None:
    """Write the images, the betas, both tables and the description."""
    rng = np.random.default_rng(1)
    images, categories = draw_stimuli(folder / "images", N_IMAGES, rng, size=64)
    colours = np.stack([np.asarray(Image.open(path).resize((4, 4))).ravel() / 255 for path in images.paths])
    signal = rng.normal(size=(sum(VOXELS.values()), colours.shape[1])) @ (colours - colours.mean(axis=0)).T
    noise = signal.std() * rng.normal(size=(*signal.shape, N_REPETITIONS))
    betas = signal[..., None] + noise
    betas[:20, 3, 1] = MISSING  # one trial of V4 of the first subject was cut short
    np.savez_compressed(folder / "betas.npz", betas=betas.astype(np.float32))
    scenes = np.arange(N_IMAGES) // 4  # four images of each scene: a property to hold out whole
    stimuli = {"stimulus": images.ids, "image": images.ids, "category": categories, "scene": scenes}
    pd.DataFrame(stimuli).to_csv(folder / "stimuli.csv", index=False)
    rows = [
        (f"{subject}-{region}-{index:03d}", region, subject)
        for (subject, region), count in VOXELS.items()
        for index in range(count)
    ]
    pd.DataFrame(rows, columns=["neuroid", "region", "animal"]).to_csv(folder / "voxels.csv", index=False)
    shutil.copy(Path(__file__).with_name("fmri.yaml"), folder / "fmri.yaml")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
