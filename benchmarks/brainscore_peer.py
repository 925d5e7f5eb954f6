"""The part of brainscore.py that runs in Brain-Score's environment: its wrapper, and its metric, layer by layer.

python brainscore_peer.py FOLDER SITE_PACKAGES     (PyTorch and torchvision come from the second, behind all else)
"""

import functools
import json
import os
import sys
import time
import types
from pathlib import Path

os.environ["BS_INSTALL_DEPENDENCIES"] = "no"
os.environ["RESULTCACHING_DISABLE"] = "1"
sys.path.append(sys.argv[2])


def main(folder: Path) -> None:
    for unused in ("cv2", "decord"):  # it imports them for videos and shifted images
        sys.modules[unused] = types.ModuleType(unused)
    import numpy as np
    import torch
    import torchvision
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet
    from brainscore_vision import load_metric
    from brainscore_vision.model_helpers.activations.pytorch import PytorchWrapper, load_preprocess_images

    task = json.loads((folder / "task.json").read_text())
    torch.set_num_threads(task["threads"])
    responses = np.load(folder / "responses.npy")
    stimuli = StimulusSet({"stimulus_id": task["ids"], "object_name": task["objects"]})
    stimuli.stimulus_paths = {name: folder / f"{name}.png" for name in task["ids"]}
    stimuli.identifier = "crops"
    network = torchvision.models.get_model(task["network"])
    network.load_state_dict(torch.load(folder / "weights.pth", weights_only=True))
    names = [f"neuroid{index:03d}" for index in range(responses.shape[1])]
    recordings = NeuroidAssembly(
        responses,
        coords={
            "stimulus_id": ("presentation", task["ids"]),
            "object_name": ("presentation", task["objects"]),
            "neuroid_id": ("neuroid", names),
            "region": ("neuroid", ["IT"] * len(names)),
        },
        dims=["presentation", "neuroid"],
    )
    start = time.perf_counter()
    preprocessing = functools.partial(load_preprocess_images, image_size=224)
    wrapper = PytorchWrapper(model=network, preprocessing=preprocessing, identifier=task["network"], batch_size=32)
    activations = wrapper(stimuli, layers=task["layers"])
    extracted, scores = time.perf_counter() - start, []
    metric = load_metric("pls", crossvalidation_kwargs={"splits": task["splits"]})
    for layer in task["layers"]:
        result = metric(activations.sel(layer=layer), recordings)
        scores.append(result.attrs["raw"].transpose("split", "neuroid").values)
        print(layer, round(time.perf_counter() - start), "s", flush=True)
    np.savez(folder / "peer.npz", scores=scores, extracted=extracted, seconds=time.perf_counter() - start)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
