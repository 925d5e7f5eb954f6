#!/usr/bin/env bash
# Snakemake runs this in the new environment, from the folder where it was started; the rules have laid the lock there.
# What a user installed for all Pythons, or names in PYTHONPATH, does not count as there already.
set -euo pipefail
"$CONDA_PREFIX/bin/python" -I -m pip install --no-deps --require-hashes --requirement .snakemake/layerwise/software/brainscore.lock
# Snakemake makes the environment anew if this script changes, so that the lock's SHA-256 stands here (make lock):
# 9926fb17145766e55f803475fee77fe99fcd5414de8054edd429f61b17148b3d
