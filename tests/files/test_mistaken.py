"""Files that are not what their names say end in a sentence: what they are, and what to do."""

import gzip
import io
import zipfile

import h5py
import numpy as np
import pytest
from PIL import Image

from layerwise.files.mistaken import check_is_data, check_is_table

PAGE = b"<!DOCTYPE html>\n<html>\n<head><title>Sign in</title></head>\n<body>a, b</body></html>\n"
TABLE = "image,score\na.png,0.5\n"


def written(save) -> bytes:
    """What a library writes."""
    target = io.BytesIO()
    save(target)
    return target.getvalue()


def archive(target, *names: str) -> None:
    with zipfile.ZipFile(target, "w") as made:
        for name in names or ("scores.csv",):
            made.writestr(name, TABLE)


def sheet(target) -> None:
    """The names in a file of Excel, in its order (ECMA-376)."""
    archive(target, "[Content_Types].xml", "_rels/.rels", "xl/workbook.xml")


def hdf5(target) -> None:
    with h5py.File(target, "w") as file:
        file["scores"] = np.ones(3)


FILES = {
    "empty": (b"", "is empty: download or export it again"),
    "blank": (b" \r\n\n", "is empty"),
    "page": (PAGE, "is a web page and no table, as servers send in place of a file: download or export it again"),
    "page with a comment": (b"\xef\xbb\xbf\n<!-- saved from url=(0014)about:internet -->\n<html>", "is a web page"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\n", "is a PDF and no table"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a pointer to the data: get its"),
    "zip": (written(archive), "is an archive: unpack it"),
    "gzip": (gzip.compress(TABLE.encode()), "is an archive: unpack it"),
    "xlsx": (written(sheet), r"is a spreadsheet, as Excel saves it: save it as CSV \(UTF-8\)"),
    "xls": (
        bytes.fromhex("d0cf11e0a1b11ae1") + bytes(99),
        "is a spreadsheet or document of Office, and",
    ),
    "JSON": (b'[{"image": "a.png"}]', "is JSON, and a table of text is needed: export it as CSV in UTF-8"),
    "JSON of columns": (b'{\n "image": ["a.png"]}', "is JSON"),
    "UTF-16": (TABLE.encode("utf-16"), "is text in UTF-16, and"),
    "HDF5": (written(hdf5), "is HDF5"),
    "array": (written(lambda target: np.save(target, np.ones(3))), "is an array of NumPy"),
    "image": (written(lambda target: Image.new("L", (4, 4)).save(target, "png")), "is an image"),
    "bytes": (bytes(range(256)), "is no text"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_table_is_told(tmp_path, name):
    content, told = FILES[name]
    (tmp_path / "scores.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"scores\.csv {told}"):
        check_is_table(tmp_path / "scores.csv")


ODD = ("[image],{score}\n", "PK,CDF\n1,2\n", '"a","b"\n1,2\n', "é,<b>\n")


@pytest.mark.parametrize("text", [TABLE, "\ufeff" + TABLE, *ODD])
def test_tables_of_text_are_not_refused(tmp_path, text):
    (tmp_path / "scores.csv").write_text(text, encoding="utf-8")
    check_is_table(tmp_path / "scores.csv")


def test_a_spreadsheet_in_place_of_data_is_not_called_an_archive(tmp_path):
    content, told = FILES["xlsx"]
    (tmp_path / "responses.xlsx").write_bytes(content)
    with pytest.raises(ValueError, match=told):
        check_is_data(tmp_path / "responses.xlsx", "recordings")


@pytest.mark.parametrize("name", ["HDF5", "array", "UTF-16", "JSON", "bytes"])
def test_data_may_have_any_format(tmp_path, name):
    (tmp_path / "data").write_bytes(FILES[name][0])
    check_is_data(tmp_path / "data")
