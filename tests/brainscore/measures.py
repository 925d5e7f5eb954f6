"""Runs in Brain-Score's environment: random assemblies, compared by its own classes.

python measures.py FILE
"""

import os
import sys

os.environ["BS_INSTALL_DEPENDENCIES"] = "no"
os.environ["RESULTCACHING_DISABLE"] = "1"

import numpy as np
from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
from brainscore_vision.metrics.cka.metric import CKA
from brainscore_vision.metrics.rdm.metric import RDMMetric
from brainscore_vision.metrics.regression_correlation.metric import (
    ALPHA_LIST,
    TrainTestSplitCorrelation,
    pearsonr_correlation,
    ridge_cv_regression,
    ridge_regression,
)


def assembly(values):
    ids = [f"image{row:03d}" for row in range(len(values))]
    coords = {
        "stimulus_id": ("presentation", ids),
        "object_name": ("presentation", np.resize(["cat", "dog"], len(values))),
        "neuroid_id": ("neuroid", np.arange(values.shape[1])),
        "region": ("neuroid", ["IT"] * values.shape[1]),
    }
    return NeuroidAssembly(values, coords=coords, dims=["presentation", "neuroid"])


def fixed_split(units, responses, train, regression):
    parts = [assembly(units[:train]), assembly(units[train:]), assembly(responses[:train]), assembly(responses[train:])]
    score = TrainTestSplitCorrelation(regression, pearsonr_correlation())(*parts)
    return np.array(score.attrs["raw"].values), score.attrs["raw"].attrs.get("alpha", np.nan)


def main(path):
    given = np.load(path)
    units, responses, train = given["units"], given["responses"], int(given["train"])
    ridge, _ = fixed_split(units, responses, train, ridge_regression())
    chosen, alpha = fixed_split(units, responses, train, ridge_cv_regression())
    alike = [float(CKA(unbiased=one)(assembly(units), assembly(responses))) for one in (False, True)]
    ranked = float(RDMMetric()(assembly(units), assembly(responses)))
    np.savez(path, alphas=ALPHA_LIST, ridge=ridge, ridgecv=chosen, alpha=alpha, cka=alike, rdm=ranked)


if __name__ == "__main__":
    main(sys.argv[1])
