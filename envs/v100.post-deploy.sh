#!/usr/bin/env bash
# Snakemake runs this in the new environment, from the folder where it was started; the rules have laid the lock there.
# What a user installed for all Pythons, or names in PYTHONPATH, does not count as there already.
set -euo pipefail
"$CONDA_PREFIX/bin/python" -I -m pip install --no-deps --require-hashes --requirement .snakemake/layerwise/software/v100.lock
# Snakemake makes the environment anew if this script changes, so that the lock's SHA-256 stands here (make lock):
# e40e67b114c7f5a0404420be398fb2aed19ab1b91ec8215eec5f6abd0a13e658
