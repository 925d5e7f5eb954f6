#!/usr/bin/env bash
# Snakemake runs this in the new environment, from the folder where it was started; the rules have laid the lock there.
# What a user installed for all Pythons, or names in PYTHONPATH, does not count as there already.
set -euo pipefail
"$CONDA_PREFIX/bin/python" -I -m pip install --no-deps --require-hashes --requirement .snakemake/layerwise/software/layerwise.lock
# Snakemake makes the environment anew if this script changes, so that the lock's SHA-256 stands here (make lock):
# caeb8e1464291c50264db71b53cdea7c7216d5e1f84040e67da254e954139c38
