"""How anything gets to disk whole, and how it is recognised again.

Tables (``layerwise.files.tables``) are imported on their own: they bring pandas, which planning does not need.
"""

from layerwise.files.alone import alone
from layerwise.files.atomic import atomic_path, writable
from layerwise.files.hashing import hash_arrays, hash_file, hash_object
from layerwise.files.memory import ran_out, reraise_memory
from layerwise.files.source import hash_source

__all__ = [
    "alone",
    "atomic_path",
    "hash_arrays",
    "hash_file",
    "hash_object",
    "hash_source",
    "ran_out",
    "reraise_memory",
    "writable",
]
