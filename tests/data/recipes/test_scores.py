"""Scores alone: MemCat, FIGRIM, Isola 2011 and LNSIM, in files of the same formats."""

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
from public_data import PAGE, cells, is_png_of, picture, structs, touch_images
from scipy.stats import spearmanr

from layerwise.data.ratings import read_ratings
from layerwise.data.recipes import figrim, isola, lnsim, memcat
from layerwise.data.recipes.recipe import write_made

COUNTS = ("hits", "misses", "false_alarms", "correct_rejections")


def written(recipe, made, path):
    """The table as a study reads it: file names found, scores numbers."""
    folder = write_made(recipe, made, path)
    ratings, _ = read_ratings(path, folder, unscored_images="ignore", n_folds=2)
    assert len(ratings.stimuli) == len(made.table)
    return pd.read_csv(path), folder


@pytest.fixture
def memcat_folder(tmp_path):
    rows = [
        ("animal", "bear", "a.jpg"),
        ("food", "cake", "a.jpg"),
        ("sports", "golf", "c 1.jpg"),
        ("food", "pie", "d.jpg"),
    ]
    table = pd.DataFrame(rows, columns=["category", "subcategory", "image_file"])
    # The corrected score is the twelfth or thirteenth column, and the order of columns is not known.
    table = table.assign(width=1, origin="coco", memorability_wo_fa_correction=[0.9, 0.8, 0.7, 0.6])
    table["memorability_w_fa_correction"] = [0.85, 0.75, 0.65, np.nan]
    (tmp_path / "MemCat_data").mkdir()
    table.to_csv(tmp_path / "MemCat_data/memcat_image_data.csv")
    touch_images(tmp_path / "MemCat_images/MemCat", ["/".join(row) for row in rows])
    return tmp_path


def test_memcats_corrected_score_is_taken(memcat_folder):
    made = memcat.read(memcat_folder, None)
    table, _ = written(memcat.RECIPE, made, memcat_folder / "out.csv")
    assert dict(zip(table["image"], table["memorability"], strict=True)) == {
        "animal/bear/a.jpg": 0.85,
        "food/cake/a.jpg": 0.75,
        "sports/golf/c 1.jpg": 0.65,
    }
    assert made.notes == ["1 image has no score: left out"]
    assert [(fact.found, fact.published) for fact in made.facts] == [("3", "10,000"), ("3", "5")]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda table: table.drop(columns="subcategory"), "has no column 'subcategory'"),
        (lambda table: table.assign(memorability_w_fa_correction=np.nan), "the column .* is empty"),
        (lambda table: pd.concat([table, table.iloc[:1]]), "names 'animal/bear/a.jpg' twice"),
        (lambda table: table.assign(image_file="e.jpg"), "3 of 3 images are not in"),
    ],
)
def test_other_tables_of_memcat_are_refused(memcat_folder, change, told):
    path = memcat_folder / "MemCat_data/memcat_image_data.csv"
    change(pd.read_csv(path, index_col=0)).to_csv(path)
    with pytest.raises(ValueError, match=told):
        memcat.read(memcat_folder, None)


def answers(rng, count):
    return [dict(zip(COUNTS, rng.integers(1, 50, 4).tolist(), strict=True)) for _ in range(count)]


@pytest.fixture
def release(tmp_path, rng):
    counts = answers(rng, 6)
    rows = [
        {
            "filename": f"sun_{place}.jpg",
            "category": "kitchen",
            "impath": f"Targets/kitchen/sun_{place}.jpg",
            "AMT_comb": structs([{name: float(value) for name, value in entry.items()}]),
        }
        for place, entry in enumerate(counts)
    ]
    (tmp_path / "targetData").mkdir()
    scipy.io.savemat(tmp_path / "targetData/allImages_release.mat", {"allImages": structs(rows)})
    touch_images(tmp_path, [row["impath"] for row in rows])
    return tmp_path, counts


def test_figrims_structure_gives_hit_rates(release):
    folder, counts = release
    made = figrim.read_release(folder, None)
    table, _ = written(figrim.RELEASE, made, folder / "out.csv")
    for place, entry in enumerate(counts):
        row = table.set_index("image").loc[f"Targets/kitchen/sun_{place}.jpg"]
        assert row["hit_rate"] == pytest.approx(entry["hits"] / (entry["hits"] + entry["misses"]))
        new = entry["false_alarms"] + entry["correct_rejections"]
        assert row["false_alarm_rate"] == pytest.approx(entry["false_alarms"] / new)
    facts = {fact.what: fact for fact in made.facts}
    assert facts["mean hit rate"].published == "0.6712" and facts["images"].published == "630"


@pytest.mark.parametrize(("name", "read"), [("within", figrim.read_within), ("across", figrim.read_across)])
def test_figrims_website_gives_the_same_rates(tmp_path, rng, name, read):
    counts = answers(rng, 5)
    table = pd.DataFrame(counts).assign(**{"image number": range(5), "scene category": "pasture"})
    table["filename"] = [f"{place}.jpg" for place in range(5)]
    table.to_csv(tmp_path / f"{name}_category.csv", index=False)
    touch_images(tmp_path / "images/SCENES_TARGETS", [f"pasture/{place}.jpg" for place in range(5)])
    made = read(tmp_path, None)
    rates = made.table.set_index("image")["hit_rate"]
    for place, entry in enumerate(counts):
        assert rates[f"pasture/{place}.jpg"] == pytest.approx(entry["hits"] / (entry["hits"] + entry["misses"]))
    table.assign(hits=0, misses=0).to_csv(tmp_path / f"{name}_category.csv", index=False)
    with pytest.raises(ValueError, match=r"has no answers to pasture/0.jpg"):
        read(tmp_path, None)


def test_other_files_of_figrim_are_refused(release):
    folder, _ = release
    path = folder / "targetData/allImages_release.mat"
    scipy.io.savemat(path, {"allImages": structs([{"filename": "a.jpg"}])})
    with pytest.raises(ValueError, match=r"allImages in .* lacks impath or AMT_comb"):
        figrim.read_release(folder, None)
    with h5py.File(path, "w") as file:
        file["allImages"] = [1]
    with pytest.raises(ValueError, match="is HDF5"):
        figrim.read_release(folder, None)
    path.write_text(PAGE)
    with pytest.raises(ValueError, match="is a web page and no data"):
        figrim.read_release(folder, None)


@pytest.fixture
def isola_folder(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(isola, "N_TARGETS", 6)
    counts = answers(rng, 8)
    entries = [structs([{"filepath": f"C:\\images\\sun_{place}.jpg"} | entry]) for place, entry in enumerate(counts)]
    pixels = np.stack([picture(rng) for _ in range(8)], axis=-1)
    for folder in ("Experiment data", "Image data"):
        (tmp_path / "Data" / folder).mkdir(parents=True)
    scipy.io.savemat(tmp_path / "Data/Experiment data/sorted_target_data.mat", {"sorted_target_data": cells(entries)})
    scipy.io.savemat(tmp_path / "Data/Image data/target_images.mat", {"img": pixels})
    return tmp_path, counts, pixels


@pytest.mark.parametrize("kind", ["old", "HDF5"])
def test_isolas_images_are_written_beside_their_scores(isola_folder, kind):
    folder, counts, pixels = isola_folder
    if kind == "HDF5":
        path = folder / "Data/Image data/target_images.mat"
        path.unlink()
        with h5py.File(path, "w") as file:
            file["img"] = pixels.T
    made = isola.read(folder, None)
    table, images = written(isola.RECIPE, made, folder / "isola.csv")
    assert images == folder / "isola-images" and len(list(images.iterdir())) == 6
    for place in range(6):
        row = table.iloc[place]
        assert row["hit_rate"] == pytest.approx(
            counts[place]["hits"] / (counts[place]["hits"] + counts[place]["misses"])
        )
        assert row["original"] == f"sun_{place}.jpg"
        assert is_png_of(images / row["image"], pixels[..., place])
    assert made.notes == ["left out, after the targets: 2 entries"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("Image data/target_images.mat", {"img": np.zeros((8, 8, 3, 4), np.uint8)}, "and there are 6 targets"),
        ("Image data/target_images.mat", {"img": np.zeros((8, 8, 3, 9))}, "img in .* is float64"),
        ("Image data/target_images.mat", {"images": np.zeros(3)}, "has no 'img'"),
        (
            "Experiment data/sorted_target_data.mat",
            {"sorted_target_data": cells([np.zeros(3)] * 8)},
            "lacks filepath or counts of answers",
        ),
    ],
)
def test_other_files_of_isola_are_refused(isola_folder, name, content, told):
    scipy.io.savemat(isola_folder[0] / "Data" / name, content)
    with pytest.raises(ValueError, match=told):
        isola.read(isola_folder[0], None)


@pytest.fixture
def halves(tmp_path, rng):
    rates = rng.uniform(0.1, 0.9, 30)
    both = [np.clip(rates + rng.normal(0, 0.1, (25, 30)), 0, 1) for _ in (1, 2)]
    (tmp_path / "Random_splits").mkdir()
    for number, half in enumerate(both, 1):
        scipy.io.savemat(tmp_path / f"Random_splits/subject_hrs{number}.mat", {f"subject_hrs{number}": half})
    touch_images(tmp_path / "images", [f"{number:04d}.jpg" for number in range(1, 31)])
    return tmp_path, both


def test_lnsims_halves_are_averaged(halves):
    folder, (one, two) = halves
    made = lnsim.read(folder, None)
    table, _ = written(lnsim.RECIPE, made, folder / "out.csv")
    assert table["image"].tolist() == [f"{number:04d}.jpg" for number in range(1, 31)]
    np.testing.assert_allclose(table["hit_rate"], np.concatenate([one, two]).mean(axis=0))
    agreement = np.mean([spearmanr(one[place], two[place]).statistic for place in range(25)])
    facts = {fact.what: fact for fact in made.facts}
    assert facts["mean rank correlation of halves"].found == f"{agreement:.4f}"
    assert facts["mean rank correlation of halves"].published == "0.7785"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (np.zeros((30, 25)), r"has the shape \(30, 25\), and must be 25 halvings by images"),
        (np.full((25, 30), 60.0), "of rates from 0 to 1"),
        (np.zeros((25, 31)), "the halves in .* have the shapes"),
    ],
)
def test_other_halves_are_refused(halves, content, told):
    scipy.io.savemat(halves[0] / "Random_splits/subject_hrs2.mat", {"subject_hrs2": content})
    with pytest.raises(ValueError, match=told):
        lnsim.read(halves[0], None)
