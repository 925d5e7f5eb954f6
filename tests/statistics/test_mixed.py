"""The mixed model, held against a planted slope, and against its formula in statsmodels."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from layerwise.interfaces import DegenerateWarning
from layerwise.statistics import fit_mixed


def table(rng, networks=30, n=40, spread=0.3):
    codes = np.repeat(np.arange(networks), n)
    slopes = 0.6 + spread * rng.standard_normal(networks)
    v1 = rng.standard_normal(len(codes))
    return pd.DataFrame(
        {
            "model": [f"n{one}" for one in codes],
            "depth": np.tile(np.arange(1, n + 1), networks),
            "units": rng.integers(25, 10**5, len(codes)),
            "V1": v1,
            "m": slopes[codes] * v1 + rng.standard_normal(networks)[codes] + 0.5 * rng.standard_normal(len(codes)),
        }
    )


def test_the_slope_is_the_planted_one_and_that_of_statsmodels(rng):
    layers = table(rng)
    row = fit_mixed(layers, ["V1"], ["m"]).iloc[0]
    unit = layers["m"].std(ddof=0) / layers["V1"].std(ddof=0)
    assert row.converged and row.low < row.slope < row.high
    assert row.slope * unit == pytest.approx(0.6, abs=0.2) and row.slope_spread * unit == pytest.approx(0.3, abs=0.12)
    scaled = layers.assign(units=np.log(layers["units"]))
    names = ["V1", "m", "depth", "units"]
    scaled[names] = (scaled[names] - scaled[names].mean()) / scaled[names].std(ddof=0)
    fit = smf.mixedlm("m ~ V1 + depth + units", scaled, groups="model", re_formula="~V1").fit(method="lbfgs")
    assert row.slope == pytest.approx(fit.params["V1"], abs=1e-3) and row.p == pytest.approx(
        fit.pvalues["V1"], abs=1e-3
    )
    low, high = fit.conf_int().loc["V1"]
    assert (row.low, row.high) == pytest.approx((low, high), abs=2e-3)


def test_a_fit_that_does_not_converge_is_told(rng, monkeypatch):
    from statsmodels.regression.mixed_linear_model import MixedLM

    fit = MixedLM.fit
    monkeypatch.setattr(MixedLM, "fit", lambda self, **given: fit(self, **{**given, "method": "nm", "maxiter": 1}))
    with pytest.warns(DegenerateWarning, match="V1 and m did not converge"):
        row = fit_mixed(table(rng, 6, 10), ["V1"], ["m"]).iloc[0]
    assert not row.converged and np.isnan([row.slope, row.low, row.p]).all()
    assert row.reason.startswith("did not converge") and "\n" not in row.reason


def test_few_networks_are_not_fitted(rng):
    row = fit_mixed(table(rng, networks=4), ["V1"], ["m"]).iloc[0]
    assert not row.converged and np.isnan(row.slope) and row.reason.startswith("4 networks, and 5 are needed")
    flat = fit_mixed(table(rng).assign(V1=1.0), ["V1"], ["m"]).iloc[0]
    assert np.isnan(flat.slope) and flat.reason == "V1 does not vary"
