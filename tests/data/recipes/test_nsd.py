"""NSD's recognition: files of the same format, each trap of it, and what is refused."""

import shutil

import numpy as np
import pandas as pd
import pytest
import scipy.io
from public_data import PAGE, touch_images, write_nsd

from layerwise.data.ratings import read_raters
from layerwise.data.recipes import nsd
from layerwise.data.recipes.recipe import write_made

PEOPLE = [f"subj{person:02d}" for person in range(1, 9)]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nsd")
    return folder, *write_nsd(folder, np.random.default_rng(6))


@pytest.fixture
def copied(published, tmp_path):
    shutil.copytree(published[0] / "nsddata", tmp_path / "own/nsddata")
    (tmp_path / "own/nsddata_stimuli").symlink_to(published[0] / "nsddata_stimuli")  # a thousand files
    return tmp_path / "own"


def test_hit_rates_are_of_answers_to_what_was_shown_before(published, tmp_path):
    folder, shared, answers = published
    made = nsd.read(folder, None)
    write_made(nsd.RECIPE, made, tmp_path / "scores.csv")
    table = pd.read_csv(tmp_path / "scores.csv")
    assert len(table) == 1000
    trials = {person: answers[person].to_dict("records") for person in answers}
    for place in (0, 17, 999):  # naive loops over trials
        assert table["image"][place] == f"shared{place + 1:04d}_nsd{shared[place]:05d}.png"
        hits, false = [], []
        for person, name in enumerate(PEOPLE, 1):
            own = []
            for row in trials[person]:
                if row["73KID"] == shared[place] and not row["MISSINGDATA"]:
                    (own if row["ISOLD"] else false).append(row["ISCORRECT"] if row["ISOLD"] else 1 - row["ISCORRECT"])
            hits += own
            assert table[name][place] == pytest.approx(np.mean(own) if own else np.nan, nan_ok=True)
        assert table["hit_rate"][place] == pytest.approx(np.mean(hits))
        assert table["answers"][place] == len(hits)
        assert table["false_alarms"][place] == pytest.approx(np.mean(false))
    assert read_raters(tmp_path / "scores.csv", PEOPLE).shape == (8, 1000)
    facts = {fact.what: fact for fact in made.facts}
    assert not facts["73KID of the first trial of subj01"].differs
    assert facts["trials"].published == "213,000" and facts["trials"].differs


def change(folder, function, person=3):
    path = folder / f"nsddata/ppdata/subj{person:02d}/behav/responses.tsv"
    function(pd.read_csv(path, sep="\t")).to_csv(path, sep="\t", index=False, na_rep="NaN")


def other_person(folder):
    source, target = (folder / f"nsddata/ppdata/subj{person:02d}/behav/responses.tsv" for person in (4, 3))
    shutil.copy(source, target)


def counted_from_0(folder):
    change(folder, lambda table: table.assign(**{"73KID": table["73KID"].replace(2951, 0)}))


def with_commas(folder):
    path = folder / "nsddata/ppdata/subj03/behav/responses.tsv"
    pd.read_csv(path, sep="\t").to_csv(path, index=False)


def web_page(folder):
    (folder / "nsddata/ppdata/subj03/behav/responses.tsv").write_text(PAGE)


def words(folder):
    change(folder, lambda table: table.assign(ISOLD=table["ISOLD"].replace({1: "yes"})))


def design_from_0(folder):
    path = folder / "nsddata/experiments/nsd/nsd_expdesign.mat"
    scipy.io.savemat(path, {"sharedix": scipy.io.loadmat(path)["sharedix"] - 1})


def design_unsorted(folder):
    path = folder / "nsddata/experiments/nsd/nsd_expdesign.mat"
    scipy.io.savemat(path, {"sharedix": scipy.io.loadmat(path)["sharedix"][:, ::-1]})


def design_without(folder):
    scipy.io.savemat(folder / "nsddata/experiments/nsd/nsd_expdesign.mat", {"subjectim": np.zeros((8, 3))})


def nobody_is_missing(folder):
    shutil.rmtree(folder / "nsddata/ppdata/subj08")


def image_missing(folder):
    linked = folder / "nsddata_stimuli"
    names = sorted(path.name for path in (linked / "stimuli/nsd/shared1000").iterdir())
    linked.unlink()
    touch_images(linked / "stimuli/nsd/shared1000", names[1:])


def never_twice(folder):
    for person in range(1, 9):
        change(folder, lambda table: table.assign(ISOLD=table["ISOLD"].where(table["73KID"] != 2951, 0)), person)


BAD = [
    (other_person, "subj03/behav/responses.tsv is of the person 4 and not of 3"),
    (counted_from_0, "73KID in .* is not from 1 to 73000"),
    (with_commas, "has no column 'SUBJECT' between tabs"),
    (web_page, "is a web page and no data"),
    (words, "has 'yes' as 'ISOLD', and no number"),
    (design_from_0, "sharedix in .* is not that of NSD"),
    (design_unsorted, "sharedix in .* is not that of NSD"),
    (design_without, "has no 'sharedix', so it is cut, or not the authors' file"),
    (nobody_is_missing, "subj08/behav/responses.tsv is not there"),
    (image_missing, "1 of 1,000 images is not in .*shared1000"),
    (never_twice, "shared0001_nsd02951.png was shown to nobody twice"),
]


@pytest.mark.parametrize(("spoil", "told"), BAD, ids=[spoil.__name__ for spoil, _ in BAD])
def test_what_is_wrong_is_said_in_a_sentence(copied, spoil, told):
    spoil(copied)
    with pytest.raises(ValueError, match=told) as raised:
        nsd.read(copied, None)
    assert "\n" not in str(raised.value)
