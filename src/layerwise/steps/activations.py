"""The step that runs a network and keeps what its layers give."""

from pathlib import Path

from layerwise.activations import extract_activations as extract
from layerwise.config import Study
from layerwise.interfaces import Progress, no_progress
from layerwise.layers.blocks import distinct
from layerwise.models import resolve_preprocessing
from layerwise.passes.stopping import StopRequests
from layerwise.steps.cluster import job_deadline
from layerwise.steps.devices import choose_devices, device_memory, limit_threads, named_memory
from layerwise.steps.inputs import layers_in, pixels_for, with_pca_images
from layerwise.steps.loading import load_network
from layerwise.steps.origins import origins_of
from layerwise.study import Budget


def extract_activations(
    study: Study,
    model: str,
    pixels: Path,
    output: Path,
    pca_pixels: Path | None = None,
    manifest: Path | None = None,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> None:
    """Run a network over a stimulus set and keep what regression needs of every layer."""
    compute = study.compute
    limit_threads(threads or compute.threads)
    expected = resolve_preprocessing(study.model_entry(model).spec())
    devices = choose_devices(compute.device, compute.gpus)
    images = with_pca_images(pixels_for(pixels, expected), pca_pixels, study, expected)
    with named_memory(compute):
        layers = layers_in(study, model, manifest)
        network = load_network(study, model, layers, images, expected, devices[0])
    with named_memory(compute), StopRequests(job_deadline()) as stop:
        extract(
            network,
            distinct(layers),
            images,
            expected,
            output,
            memory=device_memory(devices, compute.memory, compute.gpu_memory),
            device=devices,
            batch_size=Budget.of(study, on_gpu=devices[0] != "cpu").batch_sizes[0],
            attributes=origins_of("extract_activations", study, model, images.content_hash),
            progress=progress,
            stop=stop,
        )
