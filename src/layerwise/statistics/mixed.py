"""A mixed-effects view: one slope for all networks, from which each may depart."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from layerwise.interfaces import DegenerateWarning, counted
from layerwise.statistics.choosing import Chosen, choose_layers
from layerwise.statistics.intervals import DEFAULT, Sampling
from layerwise.statistics.rows import table_of

FEWEST = 5  # networks, below which their variance is a guess
FAILED = "did not converge"
REGION = 1  # its place among the fixed effects


@dataclass(frozen=True)
class Mixed:
    """A linear mixed model: measure ~ region + relative depth + log units, region's slope and mean free by network.

    Parameters
    ----------
    region, measure : str
        Columns of the table of layers.
    slope, low, high, level, p : float
        Standard deviations of the measure for one of the region, at equal depth and units; Wald's interval and test.
    slope_spread : float
        Standard deviation of slopes over networks.
    converged : bool
        Whether the fit ended at a maximum. If not, its numbers are NaN.
    n_layers, n_networks, n_undefined : int
        What was counted and what left out.
    reason : str
        Why something is NaN, or what statsmodels has to say.
    """

    region: str
    measure: str
    slope: float
    low: float
    high: float
    level: float
    p: float
    slope_spread: float
    converged: bool
    n_layers: int
    n_networks: int
    n_undefined: int
    reason: str


def fit_mixed(
    layers: pd.DataFrame, regions: Sequence[str], measures: Sequence[str], sampling: Sampling = DEFAULT
) -> pd.DataFrame:
    """Fit a mixed model of each measure on every region.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer: model, units, depth, the regions and the measures.
    regions, measures : sequence of str
        Names of the columns.
    sampling : Sampling
        Its level counts.

    Returns
    -------
    DataFrame
        A row for each pair, with the fields of `Mixed`.

    Warns
    -----
    DegenerateWarning
        Fits did not converge.
    """
    relative = layers["depth"] / layers.groupby("model")["depth"].transform("max")
    table = layers.assign(relative=relative, log_units=np.log(layers["units"]))
    rows = [_fit(table, region, measure, sampling.level) for measure in measures for region in regions]
    failed = [f"{row.region} and {row.measure}" for row in rows if row.reason.startswith(FAILED)]
    if failed:
        warnings.warn(f"the mixed model of {', '.join(failed)} did not converge", DegenerateWarning, stacklevel=2)
    return table_of(rows, Mixed)


def _fit(table: pd.DataFrame, region: str, measure: str, level: float) -> Mixed:
    chosen = choose_layers(table, [region, measure, "relative", "log_units"], warn=False)
    fitted, reason = Fitted(), chosen.undefined_because()
    if not reason and chosen.n_networks < FEWEST:
        reason = f"{counted(chosen.n_networks, 'network')}, and {FEWEST} are needed to tell how they vary"
    if not reason:
        fitted = _maximise(chosen)
        reason = fitted.told
    half = float(stats.norm.ppf((1 + level) / 2)) * fitted.error
    return Mixed(
        region=region,
        measure=measure,
        slope=fitted.slope,
        low=fitted.slope - half,
        high=fitted.slope + half,
        level=level,
        p=float(2 * stats.norm.sf(abs(fitted.slope) / fitted.error)),
        slope_spread=fitted.spread,
        converged=fitted.converged,
        n_layers=chosen.n_layers,
        n_networks=chosen.n_networks,
        n_undefined=chosen.undefined,
        reason=reason,
    )


@dataclass(frozen=True)
class Fitted:
    """What the fit gave: the region's slope and its error, the spread of slopes, and what statsmodels said."""

    slope: float = float("nan")
    error: float = float("nan")
    spread: float = float("nan")
    converged: bool = False
    told: str = ""


def _maximise(chosen: Chosen) -> Fitted:
    """Fit by restricted likelihood."""
    from statsmodels.regression.mixed_linear_model import MixedLM  # takes a second to import

    scaled = (chosen.values - chosen.values.mean(axis=0)) / chosen.values.std(axis=0)
    fixed = np.column_stack([np.ones(len(scaled)), scaled[:, [0, 2, 3]]])
    model = MixedLM(scaled[:, 1], fixed, groups=chosen.clusters().codes, exog_re=fixed[:, : REGION + 1])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            fit = model.fit(reml=True, method=["lbfgs", "bfgs", "cg"])
        except np.linalg.LinAlgError as failure:
            return Fitted(told=f"{FAILED}: {failure}")
    told = "; ".join(dict.fromkeys(str(one.message).split("\n")[0] for one in said))
    slope, error = float(fit.fe_params[REGION]), float(fit.bse_fe[REGION])
    if not (fit.converged and np.isfinite([slope, error]).all()):
        return Fitted(told=f"{FAILED}: {told or 'the slope has no error'}")
    return Fitted(slope, error, float(np.sqrt(max(0.0, fit.cov_re[REGION, REGION]))), True, told)
