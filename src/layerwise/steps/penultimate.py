"""The step that holds the penultimate representation of a network against the brain, before and after fine-tuning."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from layerwise.activations import ActivationStore, extract_activations
from layerwise.analyses.brain import BrainSimilarity
from layerwise.analyses.penultimate import Penultimate, join_scores
from layerwise.analyses.penultimate import score_penultimate as score
from layerwise.config import Study
from layerwise.data.pixels import JoinedPixels, PixelCache
from layerwise.files import hash_file, hash_object, writable
from layerwise.files.tables import write_table
from layerwise.finetuning.weights import load_finetuned, read_about
from layerwise.interfaces import Preprocessing, Progress, no_progress
from layerwise.interfaces.finetuning import STARTED_FROM, TRAINING
from layerwise.models import build, find_classifiers, resolve_preprocessing
from layerwise.passes.probe import probe_network
from layerwise.steps.brain import similarity_with
from layerwise.steps.devices import choose_device, device_memory, limit_threads, named_memory
from layerwise.steps.inputs import pixels_for, with_pca_images
from layerwise.steps.origins import origins_of
from layerwise.study import Budget, regions
from layerwise.study.layout import PRETRAINED, SCORES


def score_penultimate(
    study: Study,
    model: str,
    pixels: Sequence[Path],
    output_folder: Path,
    weights: Sequence[Path] = (),
    pca_pixels: Sequence[Path] = (),
    threads: int | None = None,
    progress: Progress = no_progress,
) -> None:
    """Keep what a network's classifier receives of the stimuli of each recording, and score it against each region.

    Before the network was trained on, and after it on each split: an image takes milliseconds, and starting seconds.

    Parameters
    ----------
    study : Study
        The study.
    model : str
        Name of the network.
    pixels : sequence of path
        Of each recording, in the order of the config: file that `pack_stimuli` made.
    output_folder : path
        Gets a folder ``pretrained``, and one for each split: a file of activations for each recording, and
        ``scores.parquet``, whose rows (region, split) are as `score_brain` gives them.
    weights : sequence of path
        Files of the network after fine-tuning, one for each split.
    pca_pixels : sequence of path
        Where the study reduces layers to principal components: for each recording, the images to fit these on.
    threads : int, optional
        Threads; default: the config's.
    progress : Progress
        Shows how far it has come.

    Raises
    ------
    ValueError
        Files are not those of the study's recordings, or weights not those of the network, or two of one split.
    """
    recordings, compute = [entry.name for entry in study.recordings], study.compute
    _require_each(recordings, {"--pixels": pixels})
    if study.brain.pca or pca_pixels:
        _require_each(recordings, {"--pca-pixels": pca_pixels})
    limit_threads(threads or compute.threads)
    expected = resolve_preprocessing(study.model_entry(model).spec())
    named = {PRETRAINED: None, **_name_weights(model, weights, expected)}
    for name in named:
        for file in (SCORES, *(f"{recording}.h5" for recording in recordings)):
            writable(output_folder / name / file)
    device = choose_device(compute.device, compute.gpus)
    memory = device_memory([device], compute.memory, compute.gpu_memory)
    with named_memory(compute):
        shown = [
            _show(study, model, recording, pixels[index], pca_pixels[index] if pca_pixels else None, device, memory)
            for index, recording in enumerate(recordings)
        ]
        for name, path in named.items():
            network, after = _load(study, model, path, expected)
            tables = []
            for one in shown:
                kept = output_folder / name / f"{one.recording}.h5"
                _keep(study, network, one.images, expected, kept, memory, device, one.origins | after, progress)
                tables.append(score(ActivationStore(kept, model), one.similarities))
            write_table(join_scores(tables), output_folder / name / SCORES)


@dataclass(frozen=True)
class _Shown:
    """What a network is shown of a recording, and held against."""

    recording: str
    images: PixelCache | JoinedPixels
    origins: dict[str, str]
    similarities: list[BrainSimilarity]


def _show(study: Study, model: str, recording: str, pixels: Path, pca: Path | None, device: str, memory: int) -> _Shown:
    expected = resolve_preprocessing(study.model_entry(model).spec())
    images = with_pca_images(pixels_for(pixels, expected), pca, study, expected)
    wanted = [region.name for region in regions(study) if region.recording == recording]
    origins = origins_of("score_penultimate", study, model, images.content_hash)
    return _Shown(recording, images, origins, [similarity_with(study, region, device, memory) for region in wanted])


def _name_weights(model: str, weights: Sequence[Path], expected: Preprocessing) -> dict[str, Path]:
    """Map splits to their files, all of which are the network's: a mistake is told before any is run."""
    named: dict[str, Path] = {}
    for path in weights:
        about = read_about(path)
        if about.spec.name != model or about.preprocessing != expected:
            what = f"{about.spec.name!r}" if about.spec.name != model else "the same network with another preprocessing"
            raise ValueError(f"{path} holds {what}, and scores of {model!r} were asked for: train it again")
        if about.split in named:
            raise ValueError(f"{named[about.split]} and {path} are both of split {about.split}: give one of them")
        named[about.split] = path
    return named


def _require_each(recordings: Sequence[str], given: dict[str, Sequence[Path]]) -> None:
    for option, paths in given.items():
        if len(paths) != len(recordings):
            raise ValueError(
                f"{option} is given {len(paths)} times, and the study has {len(recordings)} recordings: give one file "
                f"for each, in this order: {', '.join(recordings)}"
            )


def _load(
    study: Study, model: str, weights: Path | None, expected: Preprocessing
) -> tuple[Penultimate, dict[str, str]]:
    """Build the network, and say what differs from a pretrained one in what it depends on."""
    if weights is None:
        spec = study.model_entry(model).spec()
        network = build(spec, weights_folder=study.storage.weights)
        return Penultimate(network, find_classifiers(network, spec, expected.size)).eval(), {}
    network, about = load_finetuned(weights)
    started = {key: about.origins[key] for key in ("network", "weights") if key in about.origins}
    after = {
        **started,
        "weights": hash_file(weights),
        STARTED_FROM: started.get("weights", ""),
        TRAINING: hash_object(dict(about.origins)),
        "split": about.split,
    }
    return Penultimate(network, about.classifiers).eval(), after


def _keep(
    study: Study,
    network: Penultimate,
    images: PixelCache | JoinedPixels,
    expected: Preprocessing,
    output: Path,
    memory: int,
    device: str,
    origins: dict[str, str],
    progress: Progress,
) -> None:
    """Run the network over the stimuli of a recording, once it is sure that it gives one value a unit and image."""
    probe_network(network, [network.layer], images, expected, device)
    extract_activations(
        network,
        [network.layer],
        images,
        expected,
        output,
        memory=memory,
        device=device,
        batch_size=Budget.of(study, on_gpu=device != "cpu").batch_sizes[0],
        attributes=origins,
        progress=progress,
    )
