"""The steps of the workflow, one command each, in the order of the data. They import what they need when called."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli.options import (
    CONFIG,
    Activations,
    Block,
    Config,
    Model,
    Output,
    RegionName,
    Threads,
    choose_device,
    choose_devices,
    counted_warnings,
    device_memory,
    limit_threads,
    named_memory,
    require_planned,
    writable_files,
)
from layerwise.cli.progress import show_progress

if TYPE_CHECKING:
    import pandas as pd

    from layerwise.config import Study

Manifest = Annotated[
    Path | None, typer.Option("--manifest", help="Table of the network's layers; default: the one that ships.")
]
Stimuli = Annotated[str, typer.Option("--stimuli", help="Name of a recording or of ratings of the study.")]
RatingsName = Annotated[str, typer.Option("--ratings", help="Name of a set of ratings of the study.")]
Pixels = Annotated[Path, typer.Option("--pixels", help="File that pack-stimuli made.")]
Folder = Annotated[Path, typer.Option("--folder", help="Folder of results to gather from.")]
Layers = Annotated[Path, typer.Option("--layers", help="Table that gather-study made.")]
BUILDING = "layerwise.models.building"  # code that every step which runs a network depends on
Csv = Annotated[Path | None, typer.Option("--csv", callback=writable_files, help="The same table for people.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    commands = (
        list_layers,
        check_accuracy,
        pack_stimuli,
        extract_activations,
        estimate_ceiling,
        estimate_consistency,
        score_brain,
        score_memorability,
        stream_memorability,
        sketch_memorability,
        gather_model,
        gather_study,
        correlate_layers,
        summarise_models,
        plot_figure2,
    )
    for command in commands:
        app.command(name=command.__name__.replace("_", "-"), rich_help_panel="Steps of the workflow")(command)


def list_layers(
    model: Model,
    manifest: Annotated[
        Path, typer.Option("--manifest", callback=writable_files, help="File to write the table of layers.")
    ],
    preprocessing: Annotated[
        Path, typer.Option("--preprocessing", callback=writable_files, help="File to write what the network expects.")
    ],
    skipped: Annotated[
        Path | None,
        typer.Option("--skipped", callback=writable_files, help="File to write which modules are no layers, and why."),
    ] = None,
    config: Config = CONFIG,
) -> None:
    """List the layers of a network of your own (those that layerwise knows bring their lists)."""
    from dataclasses import replace

    from layerwise.config import load_study
    from layerwise.layers import leave_out, survey_layers
    from layerwise.layers.manifest import write_manifest, write_skipped
    from layerwise.layers.probing import noise, require_own_outputs, require_same_outputs
    from layerwise.models import build, normalise, resolve_preprocessing
    from layerwise.models.drawing import require_repeated
    from layerwise.models.registry import row_of
    from layerwise.models.weights import UNTRAINED
    from layerwise.study import write_preprocessing

    study = load_study(config)
    spec = study.model_entry(model).spec()
    expected = resolve_preprocessing(spec)
    untrained = replace(spec, weights="random" if spec.weights == "random" else "built")
    network, row = build(untrained), row_of(spec)
    survey, images = survey_layers(network, expected.size), normalise(noise(expected.size), expected)
    # Here already, though with weights that may not be the trained ones: no job need wait for those.
    require_own_outputs(network, survey.layers, images)
    if spec.library == "factory":
        again = build(untrained)
        if spec.weights in UNTRAINED:
            require_repeated(network, again, spec.constructor)
        again.load_state_dict(network.state_dict())
        require_same_outputs(network, again, survey.layers, images)
    later = set(row.later_modules if row else ()) & {layer.name for layer in survey.layers}
    layers = leave_out(survey.layers, later)
    typer.echo(f"{len(layers)} layers; {len(survey.skipped) + len(later)} modules that run are left out")
    if skipped is not None:
        write_skipped(survey.skipped, skipped)
    write_manifest(layers, manifest)
    write_preprocessing(expected, preprocessing)


def check_accuracy(model: Model, output: Output, config: Config = CONFIG, threads: Threads = None) -> None:
    """Require the published ImageNet accuracy of a network before its layers are analysed."""

    from layerwise.cli.proof import measure, require_published
    from layerwise.config import load_study
    from layerwise.files import atomic_path
    from layerwise.models.accuracy import ENOUGH
    from layerwise.models.labelled import read_labelled

    study = load_study(config)
    entry, compute = study.model_entry(model), study.compute
    if entry.published is None:
        raise ValueError(f"no accuracy is published of {model!r} with weights {entry.spec().weights}: it needs no gate")
    limit_threads(threads or compute.threads)
    device = choose_device(compute.device)
    with named_memory(compute):
        result = measure(
            entry.spec(),
            entry.published,
            read_labelled(study.imagenet.images, study.imagenet.labels),
            study.storage.weights,
            compute.images_at_once(device != "cpu"),
            device,
            show_progress,
        )
    require_published(result, model)
    if not result["passed"]:
        raise ValueError(
            f"{result['n_images']} images are too few to tell an accuracy: the gate needs {ENOUGH} or more"
        )
    with atomic_path(output) as temporary:
        temporary.write_text(json.dumps(result) + "\n", encoding="utf-8")


def pack_stimuli(
    stimuli: Stimuli,
    geometry: Annotated[str, typer.Option("--geometry", help="Such as square224-bilinear or crop256to224-bicubic.")],
    output: Output,
    config: Config = CONFIG,
    threads: Threads = None,
) -> None:
    """Decode the images of a stimulus set once, into one HDF5 file of pixels."""
    from layerwise.cli.sources import stimulus_set
    from layerwise.config import load_study
    from layerwise.data.pixels import pack_pixels
    from layerwise.interfaces import Geometry

    study = load_study(config)
    with counted_warnings():
        images = stimulus_set(study, stimuli)
        pack_pixels(
            images, Geometry.from_key(geometry), output, show_progress, workers=threads or study.compute.threads
        )


def extract_activations(
    model: Model,
    pixels: Pixels,
    output: Output,
    pca_pixels: Annotated[
        Path | None, typer.Option("--pca-pixels", help="The same of the images for principal components.")
    ] = None,
    manifest: Manifest = None,
    config: Config = CONFIG,
    threads: Threads = None,
) -> None:
    """Run a network over a stimulus set and keep what regression needs of every layer."""
    from layerwise.activations import extract_activations as extract
    from layerwise.activations.probe import probe_network
    from layerwise.cli.sources import layers_in, pixels_for, with_pca_images
    from layerwise.config import load_study
    from layerwise.models import build, resolve_preprocessing

    study = load_study(config)
    spec, compute = study.model_entry(model).spec(), study.compute
    limit_threads(threads or compute.threads)
    expected = resolve_preprocessing(spec)
    images = with_pca_images(pixels_for(pixels, expected), pca_pixels, study, expected)
    devices = choose_devices(compute.device, compute.gpus)
    with counted_warnings(), named_memory(compute):
        network, layers = build(spec, weights_folder=study.storage.weights), layers_in(study, model, manifest)
        probe_network(network, layers, images, expected, devices[0])
        extract(
            network,
            layers,
            images,
            expected,
            output,
            memory=device_memory(devices, compute.memory, compute.gpu_memory),
            device=devices,
            batch_size=compute.images_at_once(devices[0] != "cpu"),
            attributes=_origins(study, model, images.content_hash, "layerwise.activations.extract", BUILDING),
            progress=show_progress,
        )


def estimate_ceiling(region: RegionName, output: Output, config: Config = CONFIG) -> None:
    """Estimate how consistent a region's neuroids are over repetitions."""
    from layerwise.analyses.ceiling import estimate_ceiling as estimate
    from layerwise.cli.sources import region_recordings
    from layerwise.config import load_study
    from layerwise.files.tables import write_table

    study = load_study(config)
    with counted_warnings():
        write_table(estimate(region_recordings(study, region), region, study.regression.halves), output)


def estimate_consistency(
    ratings: Annotated[str, typer.Option("--ratings", help="Name of a set of ratings of the study.")],
    output: Output,
    config: Config = CONFIG,
) -> None:
    """Estimate how consistent behavioural scores are over raters."""
    from layerwise.analyses.ceiling import estimate_consistency as estimate
    from layerwise.config import load_study
    from layerwise.data.ratings import read_raters
    from layerwise.files.tables import write_table

    entry = load_study(config).rating(ratings)
    if entry.scores is None or entry.rater_columns is None:
        raise ValueError(
            f"the ratings {ratings!r} name no columns of raters (`rater_columns`): they have no consistency"
        )
    with counted_warnings():
        write_table(estimate(read_raters(entry.scores, entry.rater_columns), entry.measure), output)


def score_brain(
    model: Model,
    region: RegionName,
    block: Block,
    activations: Activations,
    output: Output,
    manifest: Manifest = None,
    config: Config = CONFIG,
    threads: Threads = None,
) -> None:
    """Score a block of layers against one region: Pearson r of each neuroid in each split."""
    from layerwise.activations import ActivationStore
    from layerwise.analyses.brain import BrainSimilarity, SplitPlan
    from layerwise.cli.sources import layers_in, region_recordings
    from layerwise.config import load_study
    from layerwise.files.tables import write_table
    from layerwise.layers.blocks import in_block
    from layerwise.study import find_region

    study = load_study(config)
    entry = study.recording(find_region(study, region).recording)
    limit_threads(threads or study.compute.threads)
    device = choose_device(study.compute.device)
    similarity = BrainSimilarity(
        region_recordings(study, region),
        region,
        SplitPlan(**entry.splits.model_dump()),
        study.regression.components,
        study.regression.solver,
        device,
        device_memory([device], study.compute.memory, study.compute.gpu_memory),
        study.brain.pca.components if study.brain.pca else None,
    )
    with counted_warnings(), named_memory(study.compute):
        layers = in_block(layers_in(study, model, manifest), block)
        write_table(similarity.score(ActivationStore(activations, model), layers, show_progress), output)


def score_memorability(
    model: Model,
    ratings: RatingsName,
    block: Block,
    activations: Activations,
    output: Output,
    manifest: Manifest = None,
    config: Config = CONFIG,
    threads: Threads = None,
) -> None:
    """Score a block of layers against behavioural scores: Spearman's rho in each split."""
    from layerwise.activations import ActivationStore
    from layerwise.analyses.memorability import BehaviouralAccuracy
    from layerwise.cli.sources import layers_in, rated_images
    from layerwise.config import load_study
    from layerwise.files.tables import write_table
    from layerwise.layers.blocks import in_block

    study = load_study(config)
    limit_threads(threads or study.compute.threads)
    accuracy = BehaviouralAccuracy(
        rated_images(study, ratings)[0],
        study.rating(ratings).measure,
        study.regression.components,
        study.regression.solver,
        choose_device(study.compute.device),
    )
    with counted_warnings(), named_memory(study.compute):
        layers = in_block(layers_in(study, model, manifest), block)
        write_table(accuracy.score(ActivationStore(activations, model), layers, show_progress), output)


def stream_memorability(
    model: Model,
    ratings: RatingsName,
    block: Block,
    pixels: Pixels,
    output: Output,
    state: Annotated[
        Path | None,
        typer.Option("--state", callback=writable_files, help="File to keep the state in, to go on from."),
    ] = None,
    manifest: Manifest = None,
    config: Config = CONFIG,
    threads: Threads = None,
) -> None:
    """Fit a group of layers to behavioural scores of many images while the network runs: no activations are stored."""
    from layerwise.activations.probe import probe_network
    from layerwise.analyses.streamed import score_predictions
    from layerwise.cli.sources import layers_in, rated_pixels
    from layerwise.config import load_study
    from layerwise.files.tables import write_table
    from layerwise.layers.blocks import in_block
    from layerwise.models import build, resolve_preprocessing
    from layerwise.streaming import Streamed, stream_pls_on
    from layerwise.study import demand_of, host_of, memory_of, on_gpu, require_room

    study = load_study(config)
    spec, layers = study.model_entry(model).spec(), layers_in(study, model, manifest)
    limit_threads(threads or study.compute.threads)
    devices = choose_devices(study.compute.device, study.compute.gpus)
    require_planned(devices, on_gpu(study), study.compute)
    group = in_block(layers, block)
    require_room(study, ratings, layers, group, len(devices))
    expected = resolve_preprocessing(spec)
    rated, images = rated_pixels(study, ratings, pixels, expected)
    how = Streamed(
        n_components=study.regression.components,
        batch_size=demand_of(study, ratings, layers).batch_size,
        memory=memory_of(study),
        host=host_of(study),
        tf32=study.memorability.convolutions == "tf32",
        state=state,
        save_every=60 * study.memorability.save_every,
    )
    attributes = _origins(study, model, images.content_hash, "layerwise.streaming.several", BUILDING)
    with counted_warnings(), named_memory(study.compute):
        network = build(spec, weights_folder=study.storage.weights)
        probe_network(network, layers, images, expected, devices[0])
        data = images, expected, rated.scores, rated.splits
        predictions = stream_pls_on(devices, network, layers, group, *data, how, attributes, show_progress)
        measure, components = study.rating(ratings).measure, study.regression.components
        write_table(score_predictions(predictions, group, rated, measure, components, attributes), output)


def sketch_memorability(
    model: Model,
    ratings: RatingsName,
    block: Block,
    pixels: Pixels,
    output: Output,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", callback=writable_files, help="File for sketches until layers are scored; default: in memory."
        ),
    ] = None,
    manifest: Manifest = None,
    config: Config = CONFIG,
    threads: Threads = None,
) -> None:
    """Fit a group of layers to behavioural scores of many images from sketches, which take one forward pass."""
    from layerwise.activations.probe import probe_network
    from layerwise.analyses.streamed import score_predictions
    from layerwise.cli.sources import layers_in, rated_pixels
    from layerwise.config import load_study
    from layerwise.files.tables import write_table
    from layerwise.layers.blocks import in_block
    from layerwise.models import build, resolve_preprocessing
    from layerwise.sketching import Sketched, measured_error, sketch_pls
    from layerwise.study import on_gpu, sketch_demand

    study = load_study(config)
    spec, layers, chosen = study.model_entry(model).spec(), layers_in(study, model, manifest), study.memorability
    limit_threads(threads or study.compute.threads)
    device = choose_device(study.compute.device)
    require_planned([device], on_gpu(study), study.compute)
    expected = resolve_preprocessing(spec)
    rated, images = rated_pixels(study, ratings, pixels, expected)
    demand = sketch_demand(study, ratings, layers)
    how = Sketched(
        n_components=study.regression.components,
        dimensions=chosen.dimensions,
        seed=chosen.seed,
        batch_size=demand.batch_size,
        device=device,
        tf32=chosen.convolutions == "tf32",
        file=None if demand.in_memory else file,
        save_every=60 * chosen.save_every,
    )
    attributes = {
        **_origins(study, model, images.content_hash, "layerwise.sketching.fit", BUILDING),
        "method": "sketch",
        "dimensions": str(chosen.dimensions),
        "seed": str(chosen.seed),
    }
    with counted_warnings(), named_memory(study.compute):
        network, group = build(spec, weights_folder=study.storage.weights), in_block(layers, block)
        probe_network(network, layers, images, expected, device)
        data = images, expected, rated.scores, rated.splits
        predictions = sketch_pls(network, group, *data, how, attributes, show_progress)
        measure, components = study.rating(ratings).measure, study.regression.components
        table = score_predictions(predictions, group, rated, measure, components, attributes)
        table.attrs["sketch_error"] = {measure: measured_error(chosen.dimensions)}
        write_table(table, output)


def gather_model(
    model: Model, folder: Folder, output: Output, manifest: Manifest = None, config: Config = CONFIG
) -> None:
    """Gather the scores of one network: a row a layer."""
    from layerwise.activations import ActivationStore
    from layerwise.analyses.gather import gather_model as gather
    from layerwise.cli.sources import layers_in
    from layerwise.config import load_study
    from layerwise.files.tables import read_table, write_table
    from layerwise.layers.blocks import blocks
    from layerwise.study import Layout, kept_activations, rating_blocks, regions

    study = load_study(config)
    layers = layers_in(study, model, manifest)
    names = blocks(len(layers), study.compute.layers_per_job)
    layout = Layout(str(folder))
    wanted = [region.name for region in regions(study)]
    brain, behaviour = ["layer", "region", "split", "r"], ["layer", "measure", "split", "rho"]
    with counted_warnings():
        table = gather(
            model,
            layers,
            [read_table(layout.brain(model, region, name), brain) for region in wanted for name in names],
            [
                read_table(layout.memorability(model, entry.name, block), behaviour)
                for entry in study.ratings
                for block in rating_blocks(study, entry.name, layers)
            ],
            [read_table(layout.ceiling(region), ["region", "half", "ceiling"]) for region in wanted],
            [
                read_table(layout.consistency(entry.name), ["measure", "half", "ceiling"])
                for entry in study.ratings
                if entry.rater_columns
            ],
            {
                name: ActivationStore(path, model).attributes
                for name, path in kept_activations(study, model, layout).items()
            },
        )
    write_table(table, output)


def gather_study(folder: Folder, output: Output, csv: Csv = None, config: Config = CONFIG) -> None:
    """Gather the networks of a study into one table: a row a layer."""
    import pandas as pd

    from layerwise.analyses.gather import check_data, tell_versions
    from layerwise.config import load_study
    from layerwise.files.tables import read_table
    from layerwise.study import Layout

    study = load_study(config)
    paths = {entry.name: Layout(str(folder)).model_layers(entry.name) for entry in study.models}
    tables = {name: read_table(path, ["model", "layer"]) for name, path in paths.items()}
    check_data(tables)
    table = pd.concat(tables.values(), ignore_index=True)
    table.attrs = {"data": {name: one.attrs.get("data", {}) for name, one in tables.items()}}
    tell_versions(tables)
    errors = {name: one.attrs["sketch_error"] for name, one in tables.items() if "sketch_error" in one.attrs}
    if errors:
        table.attrs["sketch_error"] = errors
    _write(table, output, csv)


def correlate_layers(
    layers: Layers,
    output: Output,
    csv: Csv = None,
    config: Config = CONFIG,
) -> None:
    """Correlate brain similarity with each measure over all layers, for each region."""
    from layerwise.config import load_study
    from layerwise.files.tables import read_table
    from layerwise.statistics import correlate_layers as correlate
    from layerwise.study import regions

    study = load_study(config)
    names, measures = [region.name for region in regions(study)], [rating.measure for rating in study.ratings]
    with counted_warnings():
        table = correlate(read_table(layers, [*names, *measures]), names, measures)
    _write(table, output, csv)


def summarise_models(
    layers: Layers,
    output: Output,
    csv: Csv = None,
    config: Config = CONFIG,
) -> None:
    """Find the best layer of each network for each region and measure."""
    from layerwise.config import load_study
    from layerwise.files.tables import read_table
    from layerwise.statistics import summarise_models as summarise
    from layerwise.study import regions

    study = load_study(config)
    columns = [region.name for region in regions(study)] + [rating.measure for rating in study.ratings]
    table = summarise(read_table(layers, ["model", "layer", "depth", *columns]), columns)
    _write(table, output, csv)


def plot_figure2(
    layers: Layers,
    correlations: Annotated[Path, typer.Option("--correlations", help="Table that correlate-layers made.")],
    output: Annotated[
        list[Path],
        typer.Option("--output", callback=writable_files, help="File to write (.pdf, .svg or .png); repeat for more."),
    ],
    measure: Annotated[str, typer.Option("--measure", help="The measure on the x axis.")] = "memorability",
) -> None:
    """Draw brain similarity against the accuracy of predicting memorability."""
    from layerwise.figures.figure2 import plot_figure2 as plot
    from layerwise.figures.style import save_figure
    from layerwise.files.tables import read_table

    correlated = read_table(correlations, ["region", "measure", "rho"])
    drawn = correlated.loc[correlated["measure"] == measure, "region"]
    columns = ["model", *drawn, *([measure] if len(drawn) else [])]  # an unknown measure is told by the figure
    save_figure(plot(read_table(layers, columns), correlated, measure), output)


def _origins(study: "Study", model: str, stimuli: str, *code: str) -> dict[str, str]:
    """Name a network, and the hashes of all that what is predicted from it depends on."""
    from dataclasses import asdict

    from layerwise.files import hash_object, hash_source
    from layerwise.models import hash_weights, resolve_preprocessing
    from layerwise.models.versions import versions_of
    from layerwise.study import network_settings

    entry = study.model_entry(model)
    spec = entry.spec()
    return {
        "model": model,
        "network": hash_object(network_settings(study, entry)),
        "weights": hash_weights(spec, study.storage.weights, study.storage.results),
        "preprocessing": hash_object(asdict(resolve_preprocessing(spec))),
        "stimuli": stimuli,
        "code": hash_source(*code),
        "versions": ", ".join(f"{name} {version}" for name, version in versions_of(spec).items()),
    }


def _write(table: "pd.DataFrame", output: Path, csv: Path | None) -> None:
    from layerwise.files.tables import write_csv, write_table

    write_table(table, output)
    if csv:
        write_csv(table, csv)
