"""Writing whole files, and hashes of their content.

Tables (``layerwise.files.tables``) and HDF5 (``layerwise.files.hdf5``) are imported on their own: they bring pandas and
h5py, which planning does not need.
"""

from layerwise.files.atomic import atomic_path, move_whole, writable
from layerwise.files.code import hash_script, hash_source
from layerwise.files.contents import Contents
from layerwise.files.disk import written
from layerwise.files.foreign import try_hdf5
from layerwise.files.hashing import checksum, hash_arrays, hash_file, hash_object
from layerwise.files.kept_code import CodeHashes
from layerwise.files.lock import locked
from layerwise.files.memory import ran_out, reraise_memory
from layerwise.files.own import own_code
from layerwise.files.permissions import explain_denial, require_writable
from layerwise.files.resumable import DamagedError, Resumable
from layerwise.files.sealed import Extent, check_seal, find_damage, is_sealed, seal
from layerwise.files.zips import check_zip

__all__ = [
    "CodeHashes",
    "Contents",
    "DamagedError",
    "Extent",
    "Resumable",
    "atomic_path",
    "check_seal",
    "check_zip",
    "checksum",
    "explain_denial",
    "find_damage",
    "hash_arrays",
    "hash_file",
    "hash_object",
    "hash_script",
    "hash_source",
    "is_sealed",
    "locked",
    "move_whole",
    "own_code",
    "ran_out",
    "require_writable",
    "reraise_memory",
    "seal",
    "try_hdf5",
    "writable",
    "written",
]
