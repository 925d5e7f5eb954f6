"""How anything gets to disk whole, and how it is recognised again.

Tables (``layerwise.files.tables``) are imported on their own: they bring pandas, which planning does not need.
"""

from layerwise.files.alone import alone
from layerwise.files.atomic import atomic_path, writable
from layerwise.files.contents import Contents
from layerwise.files.foreign import try_hdf5
from layerwise.files.hashing import checksum, hash_arrays, hash_file, hash_object
from layerwise.files.hdf5 import write_hdf5
from layerwise.files.memory import ran_out, reraise_memory
from layerwise.files.own import own_code
from layerwise.files.sealed import Extent, check_seal, is_sealed, seal
from layerwise.files.source import hash_script, hash_source
from layerwise.files.zips import check_zip

__all__ = [
    "Contents",
    "Extent",
    "alone",
    "atomic_path",
    "check_seal",
    "check_zip",
    "checksum",
    "hash_arrays",
    "hash_file",
    "hash_object",
    "hash_script",
    "hash_source",
    "is_sealed",
    "own_code",
    "ran_out",
    "reraise_memory",
    "seal",
    "try_hdf5",
    "writable",
    "write_hdf5",
]
