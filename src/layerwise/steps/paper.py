"""Steps of the tables that have a row for each network, and of what was published."""

from pathlib import Path

import pandas as pd

from layerwise.analyses.controls import correlate_controls
from layerwise.analyses.last_layers import add_penultimate
from layerwise.analyses.networks import describe_networks
from layerwise.analyses.reproduction import compare_paper as compare
from layerwise.analyses.reproduction import compare_published
from layerwise.config import Study
from layerwise.files.tables import marked, read_table, write_both
from layerwise.statistics.agreement import correlate_regions as agree
from layerwise.study import Layout, brain_columns, differs_from_paper, network_facts

_FACTS = ["parameters", "input_size", "top1"]  # numbers among the facts


def tabulate_networks(study: Study, layers: Path, output: Path, csv: Path | None = None) -> None:
    """List the networks of a study: what they are, where their weights come from, how many layers they have."""
    table = read_table(layers, ["model", "layer"])
    facts = pd.DataFrame(network_facts(study))
    facts.insert(4, "layers", facts["model"].map(table["model"].value_counts()).fillna(0).astype(int))
    facts[_FACTS] = facts[_FACTS].astype(float)
    data = table.attrs.get("data", {})
    facts["weights_hash"] = [_used(data.get(model, {})) for model in facts["model"]]
    texts = facts.columns.difference([*_FACTS, "layers"])
    facts[texts] = facts[texts].fillna("").astype(str)
    write_both(marked(facts, table), output, csv)


def score_networks(study: Study, layers: Path, networks: Path, folder: Path, finetuned: Path | None = None) -> None:
    """Find for each network its best layers, its penultimate layer and what fine-tuning made of it; correlate these.

    Two tables are written into a folder of results: a row a network, and a row a correlation over them.
    """
    names, measures = _columns(study)
    table = read_table(layers, ["model", "layer", "units", "depth", *names, *measures])
    facts = read_table(networks, ["model", "network", "family", "top1"])
    facts = facts[facts["model"].isin(table["model"])].reset_index(drop=True)
    tuned = read_table(finetuned, ["model", "split", "rho"]) if finetuned else None
    scores = describe_networks(table, names, measures, tuned)
    scores = facts[["model"]].merge(scores, on="model", how="left", validate="one_to_one")
    scores[["family", "parameters", "top1"]] = facts[["family", "parameters", "top1"]]
    scores = add_penultimate(scores, table, list(facts["network"]), names)
    _write_all(folder, table, network_scores=scores, network_correlations=correlate_controls(scores, names, measures))


def correlate_regions(study: Study, layers: Path, output: Path, csv: Path | None = None) -> None:
    """Correlate regions and measures with each other over layers."""
    names, measures = _columns(study)
    table = read_table(layers, ["model", *names, *measures])
    write_both(marked(agree(table, [*names, *measures]), table), output, csv)


def compare_paper(study: Study, layers: Path, correlations: Path, controls: Path, networks: Path, folder: Path) -> None:
    """Hold what was published against the study: accuracies of others, and the paper's numbers, if the study is its.

    Two tables are written into a folder of results.

    Raises
    ------
    ValueError
        The study has no ratings.
    """
    measures = _columns(study)[1]
    if not measures:
        raise ValueError("accuracies of predicting ratings are held against published ones: the study needs `ratings`")
    table, scores = read_table(layers, ["model", "layer"]), read_table(networks, ["model"])
    reason = "its tables are simulated" if "simulated" in table.attrs else differs_from_paper(study)
    over_layers = read_table(correlations, ["region", "measure", "rho"])
    over_networks = read_table(controls, ["figure", "region", "rho"])
    _write_all(
        folder,
        table,
        published=compare_published(scores, measures[0]),
        reproduction=compare(table, over_layers, over_networks, scores, reason),
    )


def _write_all(folder: Path, source: pd.DataFrame, **tables: pd.DataFrame) -> None:
    layout = Layout(str(folder))
    for name, table in tables.items():
        write_both(marked(table, source), layout.table(name), layout.table(name, "csv"))


def _columns(study: Study) -> tuple[list[str], list[str]]:
    return brain_columns(study), [rating.measure for rating in study.ratings]


def _used(data: dict[str, dict[str, str]]) -> str:
    """Return the hash of the weights that a network's scores were made with; empty where none is known."""
    hashes = {hashes["weights"] for hashes in data.values() if hashes.get("weights")}
    return ", ".join(sorted(hashes))
