"""What marks a missing response: numbers that a description names, and what a file says of itself.

A file says it by the attributes of netCDF (``_FillValue``, ``missing_value``, ``valid_range``, ``valid_min``,
``valid_max``), or by the fill of places that were never written. ``scale_factor`` and ``add_offset`` tell what stored
numbers stand for.
"""

import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

_CODES = ("_FillValue", "missing_value")
_BOUNDS = ("valid_range", "valid_min", "valid_max")
_SCALES = ("scale_factor", "add_offset")
NEVER_WRITTEN = 9.969209968386869e36  # netCDF's fill of numbers with a point, if a file gives none of its own
_NO_FILLS = (-127, 255)  # netCDF's fills of 8-bit numbers, of which all 256 are values
_log = logging.getLogger(__name__)


def is_code(values: NDArray[Any], codes: Iterable[float]) -> NDArray[np.bool_]:
    """Find the numbers that stand for something missing, as the array's own type writes them.

    Parameters
    ----------
    values : number array
        Of any shape.
    codes : iterable of number
        Such as -999.9: in float32 that is -999.90002, also where the array was turned into float64 afterwards.

    Returns
    -------
    bool array
        Of the same shape.
    """
    found = np.zeros(values.shape, dtype=bool)
    for code in codes:
        for written in _as_written(code, values.dtype):
            found |= values == written
    return found


def decode(values: NDArray[Any], attributes: Mapping[str, Any], what: str, fill: float | None = None) -> NDArray[Any]:
    """Read numbers as their attributes say: NaN for missing ones, and scaled.

    Parameters
    ----------
    values : number array
        As stored.
    attributes : mapping
        Those of the array.
    what : str
        Which array of which file, for messages.
    fill : number, optional
        What the file holds where nothing was written; it counts where `_FillValue` is not given.

    Returns
    -------
    array
        The same one if nothing is missing or scaled, else of float32 or float64.

    Raises
    ------
    ValueError
        An attribute is not a number; or `_Unsigned` says that the numbers are others than those stored.
    """
    if values.dtype.kind not in "iuf":
        return values
    if str(_plain(attributes.get("_Unsigned", "false"))).lower() == "true":
        raise ValueError(f"{what} holds unsigned numbers stored as signed ones (_Unsigned): write them as they are")
    codes = [code for name in _CODES for code in _numbers(attributes, name, what)]
    if "_FillValue" not in attributes and fill is not None:
        codes.append(fill)
    missing = is_code(values, codes) | _out_of_bounds(values, attributes, what)
    decoded = values
    if missing.any():
        _log.info("%d numbers are missing in %s, as the file says", missing.sum(), what)
        decoded = np.where(missing, np.nan, values.astype(np.result_type(values.dtype, np.float32)))
    scale, offset = (_numbers(attributes, name, what) for name in _SCALES)
    if scale or offset:
        decoded = decoded.astype(np.float64) * (scale or [1.0])[0] + (offset or [0.0])[0]
    return decoded


def fill_of(dataset: h5py.Dataset) -> float | None:
    """Return what a dataset holds where nothing was written, unless that is zero or HDF5's own choice."""
    if dataset.dtype.kind not in "iuf":
        return None
    defined = dataset.id.get_create_plist().fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED
    fill = dataset.fillvalue.item() if defined else 0
    return None if not fill or (dataset.dtype.itemsize == 1 and fill in _NO_FILLS) else fill


def _as_written(code: float, dtype: np.dtype) -> list[Any]:
    if math.isnan(code):
        return []  # always missing
    if dtype.kind in "iub":
        whole = isinstance(code, int) or (math.isfinite(code) and code == int(code))
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        return [dtype.type(int(code))] if whole and low <= code <= high else []
    types = [dtype.type, *([np.float32] if dtype.itemsize > 4 else [])]
    with np.errstate(over="ignore"):
        written = [of_type(code) for of_type in types]
    return [number for number in written if np.isfinite(number) or math.isinf(code)]


def _out_of_bounds(values: NDArray[Any], attributes: Mapping[str, Any], what: str) -> NDArray[np.bool_]:
    both, low, high = (_numbers(attributes, name, what) for name in _BOUNDS)
    if len(both) not in (0, 2):
        raise ValueError(
            f"the attribute valid_range of {what} holds {len(both)} numbers, and must hold two: correct it"
        )
    outside = np.zeros(values.shape, dtype=bool)
    kind = values.dtype.type if values.dtype.kind == "f" else np.float64
    for bound in low or both[:1]:
        outside |= values < kind(bound)
    for bound in high or both[1:]:
        outside |= values > kind(bound)
    return outside


def _numbers(attributes: Mapping[str, Any], name: str, what: str) -> list[float]:
    if name not in attributes:
        return []
    found = [_plain(value) for value in np.ravel(np.asarray(attributes[name])).tolist()]
    try:
        return [float(value) if isinstance(value, str) else value + 0 for value in found]
    except (ValueError, TypeError) as error:
        raise ValueError(f"the attribute {name} of {what} is {found}, and not a number: correct it") from error


def _plain(value: Any) -> Any:
    single = value.item() if isinstance(value, np.ndarray | np.generic) and value.size == 1 else value
    return single.decode(errors="replace") if isinstance(single, bytes) else single
