"""What was published, beside what a study finds: table S2, and the paper's own numbers."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

PAPER = "Harada & Sakai"


@dataclass(frozen=True)
class Published:
    """A number of the paper.

    Parameters
    ----------
    quantity : str
        What it is, in words.
    where : str
        Figure or table of the paper.
    value : float
        As printed.
    """

    quantity: str
    where: str
    value: float


CORRELATIONS = {
    region: Published(f"rho over layers of {region} similarity and memorability accuracy", "figure 2", value)
    for region, value in {"V1": 0.37, "V2": 0.76, "V4": 0.21, "IT": 0.82}.items()
}
CONTROLS = {
    "figure3": Published("rho over networks of fine-tuned memorability accuracy and IT similarity", "figure 3", 0.56),
    "figure4a": Published("rho over networks of ImageNet accuracy and penultimate IT similarity", "figure 4A", -0.39),
    "figure4b": Published("rho over networks of ImageNet accuracy and best IT similarity", "figure 4B", 0.57),
    "figureS1": Published("rho over networks of ImageNet accuracy and memorability accuracy", "figure S1", 0.46),
}
BEST = Published("memorability accuracy of the best fine-tuned network", "table S2", 0.685)
LAYERS = Published("layers of all networks", "methods", 16_860)
CONTROL_REGION = "IT"

METHODS = {
    "MemNet": (0.64, "khosla2015"),
    "MCDRNet": (0.663, ""),
    "MemBoost": (0.67, "perera2019"),
    "EMNet": (0.671, ""),
    "AMNet": (0.677, "fajtl2018"),
    "ResMem-Net": (0.679, ""),
    f"DPN-92 ({PAPER})": (0.685, "harada"),
}
"""Published rho on LaMem's five splits, as the paper's table S2 cites them; and the key of `layerwise cite`."""


@dataclass(frozen=True)
class Compared:
    """A number of the paper beside ours.

    Parameters
    ----------
    quantity : str
        What it is.
    where : str
        Figure or table of the paper.
    paper : float
        The paper's value, as printed.
    ours : float
        This study's; NaN where there is none, or where the study is not the paper's.
    low, high : float
        Its interval, where it has one: of the study's level over layers, of 95 % over networks.
    difference : float
        Ours less the paper's.
    inside : str
        Whether the paper's value lies in our interval: yes or no, empty where there is none.
    reason : str
        Why there is no value of ours.
    """

    quantity: str
    where: str
    paper: float
    ours: float
    low: float
    high: float
    difference: float
    inside: str
    reason: str


def compare_paper(
    layers: pd.DataFrame, correlations: pd.DataFrame, controls: pd.DataFrame, networks: pd.DataFrame, reason: str
) -> pd.DataFrame:
    """Hold the paper's numbers against those of a study.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer.
    correlations, controls : DataFrame
        Rows (region, measure) over layers, and (figure, region) over networks: rho, and maybe low and high.
    networks : DataFrame
        A row for each network: maybe finetuned.
    reason : str
        Why the study is not the paper's, so that no number of it is given; empty if it is.

    Returns
    -------
    DataFrame
        A row for each number, with the fields of `Compared`.
    """
    rows = [
        *(_compare(number, _row(correlations, "region", region), reason) for region, number in CORRELATIONS.items()),
        *(
            _compare(number, _row(controls[controls["region"].isin([CONTROL_REGION, ""])], "figure", figure), reason)
            for figure, number in CONTROLS.items()
        ),
        _compare(BEST, pd.Series({"rho": _highest(networks, "finetuned")}), reason),
        _compare(LAYERS, pd.Series({"rho": float(len(layers))}), reason),
    ]
    return pd.DataFrame([asdict(row) for row in rows])


def compare_published(networks: pd.DataFrame, measure: str) -> pd.DataFrame:
    """List the published accuracies of predicting memorability on LaMem's splits, and ours beside them.

    Parameters
    ----------
    networks : DataFrame
        A row for each network: model, maybe finetuned, and the measure, of its best layer.
    measure : str
        What is predicted.

    Returns
    -------
    DataFrame
        Rows (method): rho, from ("published" or "this study"), cite (a key of `layerwise cite`, or empty).
    """
    published = [(name, rho, "published", key) for name, (rho, key) in METHODS.items()]
    ours = [
        (f"{_best(networks, column)}, {what}", _highest(networks, column), "this study", "")
        for column, what in (("finetuned", "fine-tuned: mean over splits"), (measure, "best layer of all networks"))
        if np.isfinite(_highest(networks, column))
    ]
    return pd.DataFrame([*published, *ours], columns=["method", "rho", "from", "cite"])


def _row(table: pd.DataFrame, column: str, name: str) -> pd.Series:
    chosen = table[table[column] == name]
    return chosen.iloc[0] if len(chosen) else pd.Series({"rho": np.nan})


def _compare(number: Published, row: pd.Series, reason: str) -> Compared:
    ours, low, high = (float(row.get(name, np.nan)) if not reason else np.nan for name in ("rho", "low", "high"))
    known = np.isfinite(ours)
    inside = ("yes" if low <= number.value <= high else "no") if known and np.isfinite([low, high]).all() else ""
    why = reason or ("" if known else "the study does not give it")
    return Compared(number.quantity, number.where, number.value, ours, low, high, ours - number.value, inside, why)


def _highest(networks: pd.DataFrame, column: str) -> float:
    values = networks[column].to_numpy(float) if column in networks else np.array([])
    return float(np.nanmax(values)) if np.isfinite(values).any() else float("nan")


def _best(networks: pd.DataFrame, column: str) -> str:
    return str(networks["model"].iloc[int(np.nanargmax(networks[column].to_numpy(float)))])
