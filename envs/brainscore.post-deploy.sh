#!/usr/bin/env bash
# Snakemake runs this inside the new environment, from the folder that it was started in: the top of the checkout.
set -euo pipefail
python -m pip install --no-deps --require-hashes --requirement envs/brainscore.lock
