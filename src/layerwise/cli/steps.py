"""The steps of the workflow, one command each, in the order of the data: they parse, and call a step.

Steps are imported when a command is called: they bring torch, for which ``--help`` would wait.
"""

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
    counted_warnings,
    writable_files,
)
from layerwise.cli.progress import show_epochs, show_progress

if TYPE_CHECKING:
    from layerwise.config import Study

Manifest = Annotated[
    Path | None, typer.Option("--manifest", help="Table of the network's layers; default: the one that ships.")
]
Stimuli = Annotated[str, typer.Option("--stimuli", help="Name of a recording or of ratings of the study.")]
RatingsName = Annotated[str, typer.Option("--ratings", help="Name of a set of ratings of the study.")]
Pixels = Annotated[Path, typer.Option("--pixels", help="File that pack-stimuli made.")]
Folder = Annotated[Path, typer.Option("--folder", help="Folder of results.")]
Layers = Annotated[Path, typer.Option("--layers", help="Table that gather-study made.")]
Correlations = Annotated[Path, typer.Option("--correlations", help="Table that correlate-layers made.")]
Networks = Annotated[Path, typer.Option("--networks", help="Table of networks that score-networks made.")]
Controls = Annotated[
    Path, typer.Option("--controls", help="Table of correlations over networks that score-networks made.")
]
Families = Annotated[
    Path | None, typer.Option("--networks", help="Table that tabulate-networks made, which tells families.")
]
Figures = Annotated[
    list[Path],
    typer.Option("--output", callback=writable_files, help="File to write (.pdf, .svg or .png); repeat for more."),
]
DrawnRegions = Annotated[list[str] | None, typer.Option("--region", help="Region to draw; repeat for more.")]
DrawnMeasures = Annotated[list[str] | None, typer.Option("--measure", help="Measure to draw; repeat for more.")]
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
        finetune_network,
        gather_model,
        gather_study,
        gather_finetuned_layers,
        correlate_layers,
        analyse_layers,
        compare_finetuning,
        summarise_models,
        tabulate_networks,
        score_networks,
        correlate_regions,
        compare_paper,
        describe_tables,
        plot_figure2,
        plot_figure4,
        plot_figure_s1,
        plot_profiles,
        plot_depth,
        plot_regions,
        plot_forest,
        make_report,
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
    from layerwise.steps.networks import list_layers as step

    with counted_warnings():
        step(_study(config), model, manifest, preprocessing, skipped)


def check_accuracy(model: Model, output: Output, config: Config = CONFIG, threads: Threads = None) -> None:
    """Require the published ImageNet accuracy of a network before its layers are analysed."""
    from layerwise.steps.networks import check_accuracy as step

    with counted_warnings():
        study = _planned(config, "check_accuracy", model=model)
        step(study, model, output, threads, show_progress)


def pack_stimuli(
    stimuli: Stimuli,
    geometry: Annotated[str, typer.Option("--geometry", help="Such as square224-bilinear or crop256to224-bicubic.")],
    output: Output,
    config: Config = CONFIG,
    threads: Threads = None,
) -> None:
    """Decode the images of a stimulus set once, into one HDF5 file of pixels."""
    from layerwise.steps.stimuli import pack_stimuli as step

    with counted_warnings():
        study = _planned(config, "pack_stimuli", stimuli=stimuli, geometry=geometry)
        step(study, stimuli, geometry, output, threads, show_progress)


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
    from layerwise.steps.activations import extract_activations as step

    with counted_warnings():
        study = _planned(config, "extract_activations", model=model, stimuli=pixels.parent.name)
        step(study, model, pixels, output, pca_pixels, manifest, threads, show_progress)


def estimate_ceiling(region: RegionName, output: Output, config: Config = CONFIG) -> None:
    """Estimate how consistent a region's neuroids are over repetitions."""
    from layerwise.steps.brain import estimate_ceiling as step

    with counted_warnings():
        step(_study(config), region, output)


def estimate_consistency(
    ratings: Annotated[str, typer.Option("--ratings", help="Name of a set of ratings of the study.")],
    output: Output,
    config: Config = CONFIG,
) -> None:
    """Estimate how consistent behavioural scores are over raters."""
    from layerwise.steps.memorability import estimate_consistency as step

    with counted_warnings():
        step(_study(config), ratings, output)


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
    from layerwise.steps.brain import score_brain as step

    with counted_warnings():
        study = _planned(config, "score_brain", model=model, region=region, block=block)
        step(study, model, region, block, activations, output, manifest, threads, show_progress)


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
    from layerwise.steps.memorability import score_memorability as step

    with counted_warnings():
        study = _planned(config, "score_memorability", model=model, ratings=ratings, block=block)
        step(study, model, ratings, block, activations, output, manifest, threads, show_progress)


def stream_memorability(
    model: Model,
    ratings: RatingsName,
    block: Block,
    pixels: Pixels,
    output: Output,
    state: Annotated[
        Path | None,
        typer.Option("--state", callback=writable_files, help="File for the state, from which a killed job resumes."),
    ] = None,
    manifest: Manifest = None,
    config: Config = CONFIG,
    threads: Threads = None,
) -> None:
    """Fit a group of layers to behavioural scores of many images while the network runs: no activations are stored."""
    from layerwise.steps.memorability import stream_memorability as step

    with counted_warnings():
        study = _planned(config, "stream_memorability", model=model, ratings=ratings, block=block)
        step(study, model, ratings, block, pixels, output, state, manifest, threads, show_progress)


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
    from layerwise.steps.memorability import sketch_memorability as step

    with counted_warnings():
        study = _planned(config, "sketch_memorability", model=model, ratings=ratings, block=block)
        step(study, model, ratings, block, pixels, output, file, manifest, threads, show_progress)


def finetune_network(
    model: Model,
    splits: Annotated[list[str], typer.Option("--splits", help="Number of a split, from 1; repeat for more.")],
    pixels: Pixels,
    state_folder: Annotated[
        Path, typer.Option("--state-folder", help="Folder for states, from which a stopped or killed job resumes.")
    ],
    output_folder: Annotated[
        Path, typer.Option("--output-folder", help="Folder in which each split gets one for its results.")
    ],
    config: Config = CONFIG,
    threads: Threads = None,
) -> None:
    """Train a network on to predict ratings; status 75 says that it stopped in time, and goes on if run again."""
    from layerwise.steps.finetuning import finetune_network as step

    with counted_warnings():
        study = _planned(config, "finetune_network", model=model)
        step(study, model, splits, pixels, output_folder, state_folder, threads, show_epochs)


def gather_model(
    model: Model, folder: Folder, output: Output, manifest: Manifest = None, config: Config = CONFIG
) -> None:
    """Gather the scores of one network: a row a layer."""
    from layerwise.steps.tables import gather_model as step

    with counted_warnings():
        step(_study(config), model, folder, output, manifest)


def gather_study(folder: Folder, output: Output, csv: Csv = None, config: Config = CONFIG) -> None:
    """Gather the networks of a study into one table: a row a layer."""
    from layerwise.steps.tables import gather_study as step

    with counted_warnings():
        step(_study(config), folder, output, csv)


def gather_finetuned_layers(folder: Folder, output: Output, csv: Csv = None, config: Config = CONFIG) -> None:
    """Join the layers of all fine-tuned networks, a row a layer of a network and a split (finetuning.profile)."""
    from layerwise.steps.profiles import gather_finetuned_layers as step

    with counted_warnings():
        step(_study(config), folder, output, csv)


def correlate_layers(
    layers: Layers,
    output: Output,
    csv: Csv = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Folder of results; needed with `statistics: {neuroids: ...}`.")
    ] = None,
    config: Config = CONFIG,
) -> None:
    """Correlate brain similarity with each measure over all layers, for each region, with intervals."""
    from layerwise.steps.statistics import correlate_layers as step

    with counted_warnings():
        step(_study(config), layers, output, csv, folder)


def analyse_layers(layers: Layers, folder: Folder, config: Config = CONFIG) -> None:
    """Write what else is said of the correlations over layers: within networks, of each, held fixed, compared."""
    from layerwise.steps.statistics import analyse_layers as step

    with counted_warnings():
        step(_study(config), layers, folder)


def compare_finetuning(
    finetuned: Annotated[Path, typer.Option("--finetuned", help="Table that gather-finetuned-study made.")],
    folder: Folder,
    config: Config = CONFIG,
) -> None:
    """Write how fine-tuning changes the similarity of networks to each region."""
    from layerwise.steps.statistics import compare_finetuning as step

    with counted_warnings():
        step(_study(config), finetuned, folder)


def summarise_models(
    layers: Layers,
    output: Output,
    csv: Csv = None,
    config: Config = CONFIG,
) -> None:
    """Find the best layer of each network for each region and measure."""
    from layerwise.steps.tables import summarise_models as step

    with counted_warnings():
        step(_study(config), layers, output, csv)


def tabulate_networks(layers: Layers, output: Output, csv: Csv = None, config: Config = CONFIG) -> None:
    """List the networks: layers, parameters, input size, accuracy, where their weights come from (table S1)."""
    from layerwise.steps.paper import tabulate_networks as step

    with counted_warnings():
        step(_study(config), layers, output, csv)


def score_networks(
    layers: Layers,
    networks: Annotated[Path, typer.Option("--networks", help="Table that tabulate-networks made.")],
    folder: Folder,
    finetuned: Annotated[
        Path | None, typer.Option("--finetuned", help="Table of fine-tuned networks, if there is one.")
    ] = None,
    config: Config = CONFIG,
) -> None:
    """Find for each network its best layers and what fine-tuning made of it, and correlate these over networks."""
    from layerwise.steps.paper import score_networks as step

    with counted_warnings():
        step(_study(config), layers, networks, folder, finetuned)


def correlate_regions(layers: Layers, output: Output, csv: Csv = None, config: Config = CONFIG) -> None:
    """Correlate regions and measures with each other over layers."""
    from layerwise.steps.paper import correlate_regions as step

    with counted_warnings():
        step(_study(config), layers, output, csv)


def compare_paper(
    layers: Layers,
    correlations: Correlations,
    controls: Controls,
    networks: Networks,
    folder: Folder,
    config: Config = CONFIG,
) -> None:
    """Hold what was published against the study (table S2), and the paper's numbers, if the study is the paper's."""
    from layerwise.steps.paper import compare_paper as step

    with counted_warnings():
        step(_study(config), layers, correlations, controls, networks, folder)


def describe_tables(
    tables: Annotated[list[Path], typer.Option("--table", help="Table to describe (.parquet); repeat for more.")],
    output: Annotated[Path, typer.Option("--output", callback=writable_files, help="File to write (.csv).")],
) -> None:
    """Write the dictionary of tables: what each column means, its unit, and where it comes from."""
    from layerwise.steps.dictionary import describe_tables as step

    step(tables, output)


def plot_figure2(
    layers: Layers,
    correlations: Correlations,
    output: Figures,
    measure: Annotated[str, typer.Option("--measure", help="The measure on the x axis.")] = "memorability",
    networks: Families = None,
    regions: Annotated[
        list[str] | None, typer.Option("--region", help="A region to draw; several may be given; default: all.")
    ] = None,
    parts: Annotated[
        Path | None, typer.Option("--parts", help="Table within_between that analyse-layers made: rho within networks.")
    ] = None,
) -> None:
    """Draw brain similarity against the accuracy of predicting memorability."""
    from layerwise.steps.figures import plot_figure2 as step

    with counted_warnings():
        step(layers, correlations, output, measure, networks, regions or (), parts)


def plot_figure4(
    networks: Networks,
    controls: Controls,
    output: Figures,
    region: Annotated[str, typer.Option("--region", help="The region on the y axes.")] = "IT",
) -> None:
    """Draw ImageNet accuracy against brain similarity of the penultimate and the best layer."""
    from layerwise.steps.figures import plot_figure4 as step

    with counted_warnings():
        step(networks, controls, output, region)


def plot_figure_s1(
    networks: Networks,
    controls: Controls,
    output: Figures,
    measure: Annotated[str, typer.Option("--measure", help="The measure on the y axis.")] = "memorability",
) -> None:
    """Draw ImageNet accuracy against the accuracy of predicting memorability."""
    from layerwise.steps.figures import plot_figure_s1 as step

    with counted_warnings():
        step(networks, controls, output, measure)


def plot_profiles(
    layers: Layers,
    output: Figures,
    region: DrawnRegions = None,
    measure: DrawnMeasures = None,
    networks: Families = None,
    only: Annotated[str | None, typer.Option("--only", help="A network or a family; default: all.")] = None,
) -> None:
    """Draw scores over the depth of networks or families."""
    from layerwise.steps.figures import plot_profiles as step

    with counted_warnings():
        step(layers, output, region or [], measure or [], networks, only)


def plot_depth(
    layers: Layers,
    output: Figures,
    region: DrawnRegions = None,
    measure: DrawnMeasures = None,
    networks: Families = None,
) -> None:
    """Draw the scores of each network over its depth, with errors and ceilings."""
    from layerwise.steps.figures import plot_depth as step

    with counted_warnings():
        step(layers, output, region or [], measure or [], networks)


def plot_regions(
    agreement: Annotated[Path, typer.Option("--agreement", help="Table that correlate-regions made.")],
    output: Figures,
) -> None:
    """Draw how far regions agree on which layers are good."""
    from layerwise.steps.figures import plot_regions as step

    with counted_warnings():
        step(agreement, output)


def plot_forest(
    networks: Annotated[Path, typer.Option("--networks", help="Table per_network that analyse-layers made.")],
    correlations: Correlations,
    output: Figures,
    region: Annotated[str, typer.Option("--region", help="The region by which networks are sorted.")] = "IT",
    measure: Annotated[
        str, typer.Option("--measure", help="The measure that regions correlate with.")
    ] = "memorability",
) -> None:
    """Draw the correlation over the layers of each network, and that of all layers below."""
    from layerwise.steps.figures import plot_forest as step

    with counted_warnings():
        step(networks, correlations, output, region, measure)


def make_report(folder: Folder, output: Output) -> None:
    """Make a page on which a study is explored: one HTML file, which loads nothing."""
    from layerwise.steps.report import make_report as step

    with counted_warnings():
        step(folder, output)


def _planned(config: Path, step: str, **names: str) -> "Study":
    """Read the study of a job, and hold what the job is planned with against what it has."""
    from layerwise.steps.limits import warn_of_job

    study = _study(config)
    warn_of_job(study, step, **names)
    return study


def _study(config: Path) -> "Study":
    from layerwise.config import load_study

    return load_study(config)
