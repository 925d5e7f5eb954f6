"""Checksums of archives, against Python's own reading of every member."""

import zipfile

import numpy as np
import pytest
import torch
from damage import N_FLIPS, flipped

from layerwise.files import check_zip


def test_whole_archives_are_passed(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(1000))
    np.savez_compressed(tmp_path / "b.npz", x=np.arange(1000))
    check_zip(tmp_path / "a.npz")
    check_zip(tmp_path / "b.npz")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_flipped_bit_is_found_or_means_nothing(tmp_path, rng, method):
    path, content, refused = tmp_path / "a.zip", rng.bytes(3000), 0
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("x", content)
    for _ in flipped(path, rng, 3 * N_FLIPS):
        try:
            check_zip(path)
        except ValueError:
            refused += 1
        else:
            with zipfile.ZipFile(path) as archive:
                assert [archive.read(name) for name in archive.namelist()] in ([content], [])
    assert refused > N_FLIPS


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ValueError, match="archive is broken"):
        check_zip(tmp_path / "a.zip")


def test_content_that_says_that_it_is_a_folder_is_refused(tmp_path):
    """One bit makes it so, and torch then gives whatever lay in memory."""
    path = tmp_path / "a.pt"
    torch.save({"weights": torch.ones(100)}, path)
    content = bytearray(path.read_bytes())
    header = content.rindex(b"PK\x01\x02", 0, content.rindex(b"/data/0"))
    content[header + 38] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"data/0' in it has content and says that it is a folder"):
        check_zip(path)
