#!/usr/bin/env bash
# Snakemake runs this inside the new environment, from the folder that it was started in: the top of the checkout.
set -euo pipefail
python -m pip install --require-hashes --requirement envs/layerwise.lock
python -m pip install --no-deps --no-build-isolation --editable .
