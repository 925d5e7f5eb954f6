import pytest

from layerwise.models.labelled import read_labelled


@pytest.fixture
def synsets(tmp_path):
    folder = tmp_path / "val"
    for index in range(1000):
        (folder / f"n{10_000_000 + 7 * index}").mkdir(parents=True)
    return folder


def test_folders_of_synsets_are_numbered_in_their_order(synsets):
    for index, name in ((0, "b.JPEG"), (0, "a.png"), (999, "c.jpg"), (5, "notes.txt")):
        (synsets / f"n{10_000_000 + 7 * index}" / name).touch()
    found = [(path.name, label) for path, label in read_labelled(synsets)]
    assert found == [("a.png", 0), ("b.JPEG", 0), ("c.jpg", 999)]


def test_labels_in_a_file(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    for text in ("a.png 3\nb.png 999\n", "a.png\t3\r\n\r\nb.png,999", "a.png , 3\nb.png 999"):
        (tmp_path / "labels").write_text(text)
        assert read_labelled(tmp_path, tmp_path / "labels") == [(tmp_path / "a.png", 3), (tmp_path / "b.png", 999)]


@pytest.mark.parametrize("name", ["a,b.png", "a, b.png", "a  b,.png", "a.png,3", "a.png 3"])
@pytest.mark.parametrize("separator", [" ", ",", ", ", "\t"])
def test_names_of_files_may_hold_blanks_and_commas(tmp_path, name, separator):
    (tmp_path / name).touch()
    (tmp_path / "labels").write_text(f"{name}{separator}7\n")
    assert read_labelled(tmp_path, tmp_path / "labels") == [(tmp_path / name, 7)]


def test_synsets_in_a_file(tmp_path):
    (tmp_path / "a.png").touch()
    names = [f"n{10_000_000 + 7 * index}" for index in range(1000)]
    (tmp_path / "labels").write_text("".join(f"a.png {name}\n" for name in reversed(names)))
    assert [label for _, label in read_labelled(tmp_path, tmp_path / "labels")] == list(reversed(range(1000)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "labels is empty"),
        ("a.png\n", "line 1: a line is a file name and a class"),
        ("a.png 3\nc.png 4\n", "line 2: no image"),
        ("a.png 1000\n", "line 1: a class is a number from 0 to 999, not '1000'"),
        ("a.png -1\n", "not '-1'"),
        ("a.png dog\n", "not 'dog'"),
        ("a.png n01440764\n", "names 1 synsets, not 1000"),
    ],
)
def test_labels_that_do_not_fit(tmp_path, text, message):
    (tmp_path / "a.png").touch()
    (tmp_path / "labels").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_labelled(tmp_path, tmp_path / "labels")


def test_labels_that_are_no_text(tmp_path):
    (tmp_path / "labels").write_text("a.png 1\n", encoding="utf-16")
    with pytest.raises(ValueError, match=r"labels is no text in UTF-8 .*save it as such"):
        read_labelled(tmp_path, tmp_path / "labels")


def test_folders_that_do_not_fit(tmp_path, synsets):
    with pytest.raises(ValueError, match="hold no images"):
        read_labelled(synsets)
    next(synsets.iterdir()).rmdir()
    with pytest.raises(ValueError, match="holds 999 folders of synsets, not 1000"):
        read_labelled(synsets)
    with pytest.raises(ValueError, match="no folder"):
        read_labelled(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="no file of labels"):
        read_labelled(synsets, tmp_path / "nothing.txt")
