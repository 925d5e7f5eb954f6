"""What was measured of a user's own machine, kept in a small file, from which `layerwise plan` says its hours.

A calibration says how many times as long the machine takes for a kind of work as one that was measured for
`benchmarks/` (`study/rates.py`). Jobs ask for time by the latter, so that a file in somebody's home changes no job.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import inf
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from layerwise.files import atomic_path
from layerwise.study.rates import CPU, GPU, Machines, Rates

Kind = str
KINDS: dict[Kind, tuple[str, ...]] = {
    "passes": ("image", "unit"),
    "extraction": ("exact_image", "exact_unit", "gram", "write"),
    "streaming": ("product",),
    "sketching": ("sketch", "regression"),
    "scoring": ("split", "score", "read"),
    "training": ("training",),
}
"""Kinds of work, and the rates that each is the measure of."""


@dataclass(frozen=True)
class Calibration:
    """What was measured of one machine.

    Parameters
    ----------
    machine : str
        Its GPU or processor.
    host, date : str
        Where and when.
    versions : dict of str to str
        Of what ran.
    factors : dict of str to float
        How many times as long each kind of work took as planned by the shipped rates.
    """

    machine: str
    host: str
    date: str
    versions: dict[str, str]
    factors: dict[Kind, float]


_FILE = TypeAdapter(dict[str, Calibration])


def read_calibrations(path: Path) -> dict[str, Calibration]:
    """Read what was measured: of a "gpu", of a "cpu", or of both; nothing without a file.

    Raises
    ------
    ValueError
        The file is not of a calibration.
    """
    if not path.is_file():
        return {}
    try:
        found = _FILE.validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(
            f"{path} holds no calibration: delete it, or measure anew (layerwise plan --calibrate)"
        ) from error
    strange = [
        one
        for one in found.values()
        if set(one.factors) != set(KINDS) or not all(0 < factor < inf for factor in one.factors.values())
    ]
    if strange or not found.keys() <= {"gpu", "cpu"}:
        raise ValueError(f"{path} is of another version: delete it, or measure anew (layerwise plan --calibrate)")
    return found


def write_calibration(calibration: Calibration, on_gpu: bool, path: Path) -> None:
    """Add what was measured of a machine to the file, in place of the one of its kind."""
    kept = {**read_calibrations(path), "gpu" if on_gpu else "cpu": calibration}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({name: asdict(one) for name, one in kept.items()}, indent=1) + "\n", "utf-8")


def calibrated(found: Mapping[str, Calibration], path: Path) -> Machines:
    """Return the machines that were measured; in place of one that was not, that of the shipped rates."""
    gpu, cpu = found.get("gpu"), found.get("cpu")
    return Machines(_apply(gpu, GPU, path) if gpu else GPU, _apply(cpu, CPU, path) if cpu else CPU)


def _apply(calibration: Calibration, shipped: Rates, path: Path) -> Rates:
    scaled = {
        name: calibration.factors[kind] * getattr(shipped, name) for kind, names in KINDS.items() for name in names
    }
    machine = f"one {calibration.machine} of {calibration.host}, measured on {calibration.date}"
    return replace(shipped, machine=machine, source=str(path), **scaled)
