"""The largest layers of the largest networks on a GPU of 16 GB and a host of 8 GB: python benchmarks/small_gpu.py

The process may not allocate more than 16 GB of the GPU, as on a V100: more ends in an error. For each network its three
largest layers are extracted (3,200 stimuli), and the group of layers with the largest is fitted as for LaMem, planned
for 58,741 images but run on 1,024; the host takes 3 GB of what layers keep.
"""

import gc
import resource
import sys
import tempfile
import time
from pathlib import Path

import torch
from brain_gpu import N_STIMULI, Clock
from streaming import LAMEM, Blobs, draw_scores

from layerwise.activations import extract_activations
from layerwise.interfaces import RatedImages
from layerwise.layers.blocks import in_block
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.models import build
from layerwise.models.registry import find
from layerwise.streaming import Demand, Streamed, plan_groups, stream_pls
from layerwise.streaming.groups import fit_batch

CARD, BUDGET, HOST, N_IMAGES = 16 * 10**9, 13 * 10**9, 3 * 10**9, 1024
NOTES = """\
- An H100 that is held to 16 GB, not a V100. Fits are planned for LaMem's 58,741 images, and run on 1,024 of them.
- In the largest extraction of nasnetalarge memory ran out once, and it went on with 16 images a batch."""
NETWORKS = ["densenet201", "nasnetalarge", "senet154", "vgg19_bn"]
ATTRIBUTES = {"weights": "random", "code": "benchmark"}


def peak() -> float:
    """GB of the GPU that were held since the last call."""
    torch.cuda.synchronize()
    held = torch.cuda.max_memory_reserved() / 1e9
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return held


def extract(name: str, layers: list, network: torch.nn.Module, folder: Path) -> str:
    expected = find(name).preprocessing
    largest, clock = sorted(layers, key=lambda layer: layer.units)[-3:], Clock()
    start = time.perf_counter()
    extract_activations(
        network,
        largest,
        Blobs(N_STIMULI, expected.size),
        expected,
        folder / "activations.h5",
        BUDGET,
        {"model": name, **ATTRIBUTES},
        "cuda",
        batch_size=32,
        progress=clock,
    )
    return f"{largest[-1].units / 1e6:.2f} M | {clock.passes} | {time.perf_counter() - start:.0f} | {peak():.1f}"


def stream(name: str, layers: list, network: torch.nn.Module) -> str:
    expected, largest = find(name).preprocessing, max(layers, key=lambda layer: layer.units)
    demand = fit_batch(layers, Demand(LAMEM, 5, 25, expected.size, 32), BUDGET, HOST)
    blocks = plan_groups(layers, demand, BUDGET, HOST)
    group = next(found for block in blocks if largest in (found := in_block(layers, block)))
    how = Streamed(25, demand.batch_size, "cuda", memory=BUDGET, host=HOST)
    images, (scores, splits) = Blobs(N_IMAGES, expected.size), draw_scores(N_IMAGES)
    attributes = {"model": name, **ATTRIBUTES}
    start = time.perf_counter()
    stream_pls(network, layers, group, RatedImages(images, expected, scores, splits), how, attributes)
    seconds = time.perf_counter() - start
    return f"{len(blocks)} | {len(group)} | {demand.batch_size} | {seconds:.0f} | {peak():.1f}"


def main(names: list[str]) -> None:
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(CARD / total)
    lines = [
        "# The largest layers on a GPU of 16 GB",
        "",
        f"`python benchmarks/small_gpu.py {' '.join(names)}` on one {torch.cuda.get_device_name()},",
        f"of which the process may take {CARD / 1e9:.0f} GB, planned with {BUDGET / 1e9:.0f} GB and {HOST / 1e9:.0f}",
        f"GB of the host's memory; torch {torch.__version__}. Seconds and GB of one run; random weights and images.",
        "The three largest layers are extracted in as many passes; then the group that holds the largest is fitted, of",
        "as many groups, layers in it, images in a batch.",
        "",
        "| network | largest | passes | seconds | peak GB | groups | layers | batch | seconds | peak GB |",
        "|---" * 10 + "|",
    ]
    for name in names:
        layers, network = read_manifest(shipped_manifest(name)), build(name)
        peak()
        with tempfile.TemporaryDirectory() as folder:
            extracted = extract(name, layers, network, Path(folder))
        lines.append(f"| {name} | {extracted} | {stream(name, layers, network)} |")
        print(lines[-1], flush=True)
        del network
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    lines += ["", f"The process took {host:.1f} GB of the host's memory at most, of all networks together."]
    lines += ["", NOTES]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:] or NETWORKS)
