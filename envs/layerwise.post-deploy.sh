#!/usr/bin/env bash
# Snakemake runs this inside the new environment, from the folder that it was started in: the top of the checkout.
# LAYERWISE_LOCK=v100 takes the packages of v100.lock.
set -euo pipefail
python -m pip install --require-hashes --requirement "envs/${LAYERWISE_LOCK:-layerwise}.lock"
python -m pip install --no-deps --no-build-isolation --editable .
