"""Images in folders: found as the disk writes them, through links, and in order."""

import unicodedata

import pytest

from layerwise.data.folders import find_files, images_in, list_images

NAME = "caf\u00e9 1.png"
FORMS = [unicodedata.normalize(form, NAME) for form in ("NFC", "NFD")]


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("written", FORMS)
@pytest.mark.parametrize("asked", FORMS)
def test_accents_are_found_however_they_are_written(tmp_path, written, asked):
    inner = "d\u00e9"
    place = f"{unicodedata.normalize('NFD', inner)}/{written}"
    touch(tmp_path, place)
    name = f"{unicodedata.normalize('NFC', inner)}/{asked}"
    assert find_files(tmp_path, [name, "other.png"]) == {name: tmp_path / place}


def test_of_two_files_that_differ_in_form_each_name_gets_its_own(tmp_path):
    touch(tmp_path, *FORMS)
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this disk holds both forms as one")
    assert find_files(tmp_path, FORMS) == {form: tmp_path / form for form in FORMS}


def test_what_is_no_file_in_the_folder_is_not_found(tmp_path):
    touch(tmp_path / "images", "a.png", "sub/b.png")
    touch(tmp_path, "c.png")
    (tmp_path / "images" / "nowhere.png").symlink_to("gone")
    (tmp_path / "images" / "round.png").symlink_to("round.png")
    names = ["../c.png", str(tmp_path / "c.png"), "sub", "", ".", "sub/../a.png", "nowhere.png", "round.png", "a.png/x"]
    assert find_files(tmp_path / "images", names) == {}
    assert find_files(tmp_path / "none", ["a.png"]) == {}
    assert set(find_files(tmp_path / "images", ["./a.png", "sub//b.png"])) == {"./a.png", "sub//b.png"}


def test_linked_files_and_folders_are_listed_once(tmp_path):
    touch(tmp_path / "elsewhere", "a.png", "deep/b.jpg", "notes.txt", ".hidden/c.png")
    folder = touch(tmp_path / "images", "z.png")
    (folder / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere" / "back").symlink_to(folder, target_is_directory=True)  # a circle
    (folder / "one.png").symlink_to(tmp_path / "elsewhere" / "a.png")
    expected = {"z.png", "one.png", "linked/a.png", "linked/deep/b.jpg"}
    assert list_images(folder) == expected
    assert [path.relative_to(folder).as_posix() for path in images_in(folder, "set").paths] == sorted(expected)
    assert set(find_files(folder, expected)) == expected


def test_a_name_that_is_too_long_for_a_disk_is_no_file(tmp_path):
    assert find_files(tmp_path, ["a" * 5000, f"{'b' * 300}/x.png"]) == {}
