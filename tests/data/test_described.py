"""Own recordings by a description: every kind of file gives the same, and every mistake is named."""

import pickle
import runpy
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import yaml
from typer.testing import CliRunner

from layerwise.cli.app import app
from layerwise.data.described import read_described
from layerwise.data.recordings import list_regions, read_attributes, read_recordings, stimuli_of

N_STIMULI, N_NEUROIDS, N_REPETITIONS = 7, 5, 3
REGIONS = ["V4", "IT", "V4", "IT", "IT"]
EXAMPLE = Path(__file__).parents[2] / "examples" / "own" / "simulate.py"


@pytest.fixture
def responses(rng):
    values = rng.normal(size=(N_REPETITIONS, N_STIMULI, N_NEUROIDS))
    values[2, 1] = np.nan
    values[0, 3, 2] = np.nan
    return values


@pytest.fixture
def folder(tmp_path, rng):
    """Tables and images; stimuli in any order."""
    names = [f"picture {index}" for index in rng.permutation(N_STIMULI)]
    (tmp_path / "images").mkdir()
    for name in names:
        (tmp_path / "images" / f"{name}.png").touch()
    movies = [f"{index % 2}" for index in range(N_STIMULI)]
    stimuli = {"stimulus": names, "image": [f"{name}.png" for name in names], "movie": movies}
    pd.DataFrame(stimuli).to_csv(tmp_path / "stimuli.csv", index=False)
    neuroids = {"neuroid": [f"n{index}" for index in range(N_NEUROIDS)], "region": REGIONS}
    pd.DataFrame(neuroids).to_csv(tmp_path / "neuroids.csv", index=False)
    return tmp_path


def describe(folder, **changes):
    description = {
        "responses": "responses.npz",
        "dimensions": ["repetition", "stimulus", "neuroid"],
        "stimuli": "stimuli.csv",
        "neuroids": "neuroids.csv",
        "images": "images",
        "units": "spikes/s",
        "source": "a test",
        "visual_degrees": 4,
    } | changes
    path = folder / "description.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in description.items() if value is not None}))
    return path


def assert_right(found, folder, responses):
    names = pd.read_csv(folder / "stimuli.csv")["stimulus"].drop_duplicates()
    order = np.argsort(names)
    np.testing.assert_array_equal(found.recordings.responses, responses[:, order])
    assert found.recordings.stimuli == tuple(names.iloc[order])
    assert found.recordings.neuroids == tuple(f"n{index}" for index in range(N_NEUROIDS))
    assert found.recordings.regions == tuple(REGIONS)
    assert found.images.paths == tuple(folder / "images" / f"{name}.png" for name in names.iloc[order])
    assert (found.source, found.visual_degrees, found.recordings.units) == ("a test", 4, "spikes/s")


def test_hdf5_that_leads_to_other_files_is_refused(folder, responses):
    with h5py.File(folder / "secret.h5", "w") as file:
        file["counts"] = responses
    with h5py.File(folder / "responses.h5", "w") as file:
        file["counts"] = h5py.ExternalLink("secret.h5", "counts")
    refuse(describe(folder, responses="responses.h5", array="counts"), r"responses\.h5 has 'counts' in another file")


@pytest.mark.parametrize("dimensions", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)])
@pytest.mark.parametrize("ending", ["npz", "npy", "h5"])
def test_arrays_in_any_order_of_dimensions(folder, responses, ending, dimensions):
    turned = responses.transpose(dimensions)
    path = folder / f"responses.{ending}"
    if ending == "npz":
        np.savez(path, counts=turned, other=np.zeros(3))
    elif ending == "npy":
        np.save(path, turned)
    else:
        with h5py.File(path, "w") as file:
            file["session/counts"] = turned
    names = [("repetition", "stimulus", "neuroid")[place] for place in dimensions]
    array = {"npz": "counts", "npy": None, "h5": "session/counts"}[ending]
    found = read_described(describe(folder, responses=path.name, dimensions=names, array=array))
    assert_right(found, folder, responses)


def test_animals_of_the_neuroids_and_a_session_that_describes_no_stimuli(folder, responses, rng):
    table = pd.read_csv(folder / "neuroids.csv").assign(animal=list("ABABB"))
    table.to_csv(folder / "neuroids.csv", index=False)
    np.savez(folder / "responses.npz", presentations(folder, responses, rng))
    rows = pd.read_csv(folder / "presentations.csv")
    rows.assign(session=rows["repetition"]).to_csv(folder / "presentations.csv", index=False)
    description = describe(folder, dimensions=["presentation", "neuroid"], stimuli="presentations.csv")
    done = CliRunner().invoke(app, ["data", "import", str(description), "--output", str(folder / "own.nc")])
    assert done.exit_code == 0
    assert "left out: 'session', which does not describe stimuli: presentations of 7 of 7 stimuli differ" in done.output
    found = read_recordings(folder / "own.nc")
    assert found.animals == tuple("ABABB")
    assert list(found.columns) == ["movie"]
    assert read_recordings(folder / "own.nc", ["IT"], ["B"]).neuroids == ("n1", "n3", "n4")


def test_codes_for_missing_trials_become_nan(folder, responses):
    counts = np.where(np.isnan(responses), 255, np.minimum(np.abs(100 * responses), 254)).astype(np.uint8)
    np.savez(folder / "responses.npz", counts)
    expected = np.where(np.isnan(responses), np.nan, counts)
    assert_right(read_described(describe(folder, missing=[255])), folder, expected)


def presentations(folder, responses, rng):
    """A row for each presentation, in any order; trials without any response were never made."""
    stimuli = pd.read_csv(folder / "stimuli.csv")
    made = np.argwhere(~np.isnan(responses).all(axis=2))
    rng.shuffle(made)
    table = stimuli.iloc[made[:, 1]].assign(repetition=made[:, 0])
    table.to_csv(folder / "presentations.csv", index=False)
    return responses[made[:, 0], made[:, 1]]


@pytest.mark.parametrize("ending", ["npz", "csv"])
def test_presentations_in_any_order(folder, responses, rng, ending):
    rows = presentations(folder, responses, rng)
    if ending == "npz":
        np.savez(folder / "responses.npz", rows)
    else:
        columns = pd.DataFrame(rows, columns=[f"n{index}" for index in range(N_NEUROIDS)])
        columns.assign(comment="kept apart").to_csv(folder / "responses.csv", index=False)
    description = describe(
        folder,
        responses=f"responses.{ending}",
        dimensions=["presentation", "neuroid"],
        stimuli="presentations.csv",
    )
    found = read_described(description)
    assert_right(found, folder, responses)
    assert found.recordings.columns["movie"].dtype.kind == "i"  # numbers sort as numbers


def test_the_command_writes_what_a_study_reads(folder, responses):
    np.savez(folder / "responses.npz", responses)
    output = folder / "out" / "recordings.nc"
    result = CliRunner().invoke(app, ["data", "import", str(describe(folder)), "--output", str(output)])
    assert result.exit_code == 0, result.exception
    found, expected = read_recordings(output), read_described(describe(folder)).recordings
    np.testing.assert_array_equal(found.responses, expected.responses)
    assert (found.stimuli, found.neuroids, found.regions) == (expected.stimuli, expected.neuroids, expected.regions)
    assert read_attributes(output)["visual_degrees"] == 4
    assert [path.name for path in stimuli_of(output).paths] == [f"{name}.png" for name in found.stimuli]


def test_the_example_of_fmri(tmp_path):
    runpy.run_path(str(EXAMPLE))["main"](tmp_path)
    found = read_described(tmp_path / "fmri.yaml")
    assert found.recordings.responses.shape == (3, 80, 90)
    assert np.isnan(found.recordings.responses).sum() == 20
    output = tmp_path / "fmri.nc"
    result = CliRunner().invoke(app, ["data", "import", str(tmp_path / "fmri.yaml"), "--output", str(output)])
    assert result.exit_code == 0, result.exception
    assert list_regions(output) == ("V4", "LO")
    assert read_recordings(output, ["V4"]).responses.shape == (3, 80, 45)
    checked = CliRunner().invoke(app, ["data", "check", str(output)])
    assert checked.exit_code == 0, checked.stdout
    assert "no problems found" in checked.stdout


def refuse(path, match):
    with pytest.raises(ValueError, match=match) as caught:
        read_described(path)
    return str(caught.value)


def test_mistakes_in_the_description_are_named(folder, responses):
    np.savez(folder / "responses.npz", responses, responses[0])
    refuse(folder / "none.yaml", r"no description .*none\.yaml")
    refuse(describe(folder, neuroid="x"), r"there is no key 'neuroid': did you mean 'neuroids'")
    refuse(
        describe(folder, images=None, stimuli=None), r"2 problems(.|\n)*'stimuli' is needed(.|\n)*'images' is needed"
    )
    refuse(describe(folder, visual_degrees=-1), "visual_degrees: Input should be greater than 0")
    refuse(describe(folder, visual_degrees=True), "visual_degrees: .*true and false .*are no numbers")
    refuse(describe(folder), r"there are 2 arrays \(arr_0, arr_1\): name one with `array`")
    refuse(describe(folder, array="arr_2"), "there is no array 'arr_2': did you mean 'arr_")
    refuse(describe(folder, array="arr_1"), r"have the shape \(7, 5\), and 3 dimensions are named")
    refuse(describe(folder, dimensions=["stimulus", "stimulus"]), "must be stimulus and neuroid")
    refuse(describe(folder, dimensions=["repetition", "neuroid"]), "must be stimulus and neuroid")
    (folder / "broken.yaml").write_text("responses: [")
    refuse(folder / "broken.yaml", "is not valid YAML")


def test_files_that_cannot_be_read_are_named(folder, responses):
    np.savez(folder / "responses.npz", responses)
    refuse(describe(folder, responses="none.npz"), r"no file of responses .*none\.npz")
    (folder / "cut.npz").write_bytes((folder / "responses.npz").read_bytes()[:100])
    refuse(describe(folder, responses="cut.npz"), r"cut\.npz is truncated")
    (folder / "cut.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    refuse(describe(folder, responses="cut.h5"), r"cut\.h5 is truncated")
    np.savez(folder / "objects.npz", np.array([1, "a", None], dtype=object))
    refuse(describe(folder, responses="objects.npz"), r"objects\.npz holds Python objects.*: save an array of numbers")
    for name, content in (("objects.npy", np.array([1, None])), ("pickle.npy", {"a": 1}), ("text.npy", "text")):
        (folder / name).write_bytes(pickle.dumps(content))
        message = refuse(describe(folder, responses=name), rf"{name} holds Python objects, which .* are not read")
        assert "allow_pickle" not in message
    np.save(folder / "objects.npy", np.array([1, None]))
    refuse(describe(folder, responses="objects.npy"), r"objects\.npy holds Python objects")
    np.savez(folder / "words.npz", np.full(responses.shape, "a"))
    refuse(describe(folder, responses="words.npz"), "must be numbers")
    (folder / "responses.mat5").touch()
    refuse(describe(folder, responses="responses.mat5"), "and responses.mat5 is none: convert it")
    responses[0, 0, 0] = np.inf
    np.savez(folder / "responses.npz", responses)
    refuse(describe(folder), "1 response is infinite in")


def test_tables_that_do_not_fit_are_named(folder, responses):
    np.savez(folder / "responses.npz", responses[:, :6])
    refuse(describe(folder), r"are of 6 stimuli or presentations, and .*stimuli\.csv has 7 rows")
    np.savez(folder / "responses.npz", responses[..., :4])
    refuse(describe(folder), r"are of 4 neuroids, and .*neuroids\.csv has 5 rows")
    np.savez(folder / "responses.npz", responses)
    stimuli, neuroids = (pd.read_csv(folder / f"{name}.csv") for name in ("stimuli", "neuroids"))
    stimuli.assign(stimulus=["a", "a", "b", "c", "d", "e", "f"]).to_csv(folder / "twice.csv", index=False)
    refuse(describe(folder, stimuli="twice.csv"), r"1 stimulus has several rows in .*twice\.csv(.|\n)*a")
    stimuli.drop(columns="image").to_csv(folder / "bare.csv", index=False)
    refuse(describe(folder, stimuli="bare.csv"), "has no column 'image'")
    stimuli.assign(image=["", *stimuli["image"][1:]]).to_csv(folder / "empty.csv", index=False)
    refuse(describe(folder, stimuli="empty.csv"), r"1 place is empty in the column 'image'(.|\n)*line 2")
    neuroids.assign(neuroid=["n0", "n0", "n1", "n2", "n3"]).to_csv(folder / "same.csv", index=False)
    refuse(describe(folder, neuroids="same.csv"), r"1 id is given to several neuroids in .*same\.csv(.|\n)*n0")


@pytest.mark.parametrize(
    ("name", "words"), [("gone.png", "is not there"), ("../stimuli.csv", "lies outside its folder")]
)
def test_images_that_cannot_be_used_are_named(folder, responses, name, words):
    np.savez(folder / "responses.npz", responses)
    stimuli = pd.read_csv(folder / "stimuli.csv")
    stimuli.assign(image=[name, *stimuli["image"][1:]]).to_csv(folder / "changed.csv", index=False)
    refuse(describe(folder, stimuli="changed.csv"), rf"1 image of .*(.|\n)*{words}")


def test_cells_that_are_no_numbers_are_named(folder, responses, rng):
    rows = presentations(folder, responses, rng)
    table = pd.DataFrame(rows, columns=[f"n{index}" for index in range(N_NEUROIDS)]).astype(object)
    table.iloc[4, 2] = "3,5"
    table.iloc[6, 0] = "many"
    changes = {"responses": "r.csv", "dimensions": ["presentation", "neuroid"], "stimuli": "presentations.csv"}
    table.to_csv(folder / "r.csv", index=False)
    refuse(
        describe(folder, **changes), r"2 problems(.|\n)*line 6, column 'n2': '3,5'(.|\n)*line 8, column 'n0': 'many'"
    )
    table.drop(columns="n3").to_csv(folder / "r.csv", index=False)
    refuse(describe(folder, **changes), r"1 neuroid has no column in .*r\.csv(.|\n)*n3")


def test_presentations_that_contradict_each_other_are_named(folder, responses, rng):
    rows = presentations(folder, responses, rng)
    np.savez(folder / "responses.npz", rows)
    table = pd.read_csv(folder / "presentations.csv")
    table.assign(repetition=0).to_csv(folder / "presentations.csv", index=False)
    changes = {"dimensions": ["presentation", "neuroid"], "stimuli": "presentations.csv"}
    refuse(describe(folder, **changes), "was presented twice in repetition 0")


def csv_of(folder, values, **columns):
    """A CSV with a column for each neuroid; other columns first."""
    table = pd.DataFrame(values, columns=[f"n{index}" for index in range(N_NEUROIDS)])
    for place, (name, column) in enumerate(columns.items()):
        table.insert(place, name, column)
    table.to_csv(folder / "responses.csv", index=False)
    return table


ONCE = {"responses": "responses.csv", "dimensions": ["stimulus", "neuroid"]}


@pytest.mark.parametrize("key", ["stimulus", "image"])
def test_rows_of_a_csv_belong_to_the_stimuli_that_they_name(folder, responses, rng, key):
    table = pd.read_csv(folder / "stimuli.csv")
    order = rng.permutation(N_STIMULI)
    csv_of(folder, responses[0][order], **{key: table[key][order].to_numpy(), "n_spikes": order})
    assert_right(read_described(describe(folder, **ONCE)), folder, responses[:1])


def test_the_case_of_the_issue(folder):
    pd.DataFrame({"stimulus": ["s0", "s1", "s2"], "image": [f"{i}.png" for i in range(3)]}).to_csv(
        folder / "stimuli.csv", index=False
    )
    for index in range(3):
        (folder / "images" / f"{index}.png").touch()
    pd.DataFrame({"neuroid": ["a"], "region": ["IT"]}).to_csv(folder / "neuroids.csv", index=False)
    (folder / "responses.csv").write_text("stimulus,a\ns2,30\ns0,10\ns1,20\n")
    found = read_described(describe(folder, **ONCE)).recordings
    assert dict(zip(found.stimuli, found.responses[0, :, 0], strict=True)) == {"s0": 10, "s1": 20, "s2": 30}


def test_rows_of_a_csv_belong_to_presentations_by_stimulus_and_repetition(folder, responses, rng):
    rows = presentations(folder, responses, rng)
    table = pd.read_csv(folder / "presentations.csv")
    order = rng.permutation(len(rows))
    # As floats, as a table with a gap would write them: 1.0 is 1.
    keys = {"repetition": table["repetition"][order].to_numpy(float), "stimulus": table["stimulus"][order].to_numpy()}
    changes = {"dimensions": ["presentation", "neuroid"], "stimuli": "presentations.csv", "responses": "responses.csv"}
    csv_of(folder, rows[order], **keys)
    assert_right(read_described(describe(folder, **changes)), folder, responses)
    csv_of(folder, rows[order], stimulus=keys["stimulus"])
    if table["stimulus"].tolist() != keys["stimulus"].tolist():
        refuse(describe(folder, **changes), "in another order .*several have the same 'stimulus': rows are matched by")


def test_rows_that_cannot_be_matched_are_refused(folder, responses):
    names = pd.read_csv(folder / "stimuli.csv")["stimulus"]
    csv_of(folder, responses[0], stimulus=["other", *names[1:]])
    refuse(describe(folder, **ONCE), "1 row of .* without a row in .*responses.csv with the same 'stimulus'")
    csv_of(folder, responses[0], stimulus=[names[1], *names[1:]])
    refuse(describe(folder, **ONCE), "1 row of .*stimuli.csv without a row")
    csv_of(folder, responses[0], id=names[::-1].to_numpy())
    refuse(describe(folder, **ONCE), "'id' in .*responses.csv holds the ids of .* in another order")
    csv_of(folder, responses[0]).to_csv(folder / "responses.csv")  # with the index of pandas, which is no id
    assert_right(read_described(describe(folder, **ONCE)), folder, responses[:1])
    refuse(describe(folder, **ONCE | {"dimensions": ["neuroid", "stimulus"]}), "put neuroid last")


@pytest.mark.parametrize("ending", ["npz", "h5"])
@pytest.mark.parametrize("what", ["stimulus", "neuroid"])
def test_ids_beside_an_array_must_be_in_the_order_of_the_table(folder, responses, ending, what):
    table = pd.read_csv(folder / ("stimuli.csv" if what == "stimulus" else "neuroids.csv"))
    for ids in (table[what], table[what][::-1]):
        if ending == "npz":
            np.savez(folder / "a.npz", responses=responses, ids=ids.to_numpy(str), other=np.array([{}], dtype=object))
        else:
            with h5py.File(folder / "a.h5", "w") as file:
                file["responses"] = responses
                file["ids"] = ids.to_numpy(object)
        description = describe(folder, responses=f"a.{ending}", array="responses")
        if ids.index[0] == 0:
            assert_right(read_described(description), folder, responses)
        else:
            refuse(description, rf"ids' in .*a\.{ending} holds the ids of .* in another order \(row 1")


@pytest.mark.parametrize("code", [-999.9, 1e20, "1e20"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float64 of float32"])
def test_codes_that_float32_cannot_hold_exactly_become_nan(folder, responses, code, dtype):
    values = np.where(np.isnan(responses), float(code), responses)
    for kind in dtype.split(" of ")[::-1]:
        values = values.astype(kind)
    np.savez(folder / "responses.npz", values)
    expected = np.where(np.isnan(responses), np.nan, values)
    assert_right(read_described(describe(folder, missing=[code])), folder, expected)


def test_a_code_that_is_no_number_is_refused(folder, responses):
    np.savez(folder / "responses.npz", responses)
    refuse(describe(folder, missing=[False]), "missing: .*marked by a number, not by False")


def test_an_hdf5_file_says_itself_what_is_missing_and_scaled(folder, responses):
    with h5py.File(folder / "a.h5", "w") as file:
        stored = np.where(np.isnan(responses), -32768, np.round(100 * np.nan_to_num(responses))).astype(np.int16)
        file["responses"] = stored
        file["responses"].attrs.update({"_FillValue": np.int16(-32768), "scale_factor": 0.01, "units": "ms since x"})
    expected = np.where(np.isnan(responses), np.nan, stored * 0.01)
    assert_right(read_described(describe(folder, responses="a.h5")), folder, expected)


def write_matlab_7_3(path, name, values, **attributes):
    """As MATLAB does: a block of text of 512 bytes, and the dimensions the other way round."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset(name, data=values.T).attrs.update({"MATLAB_class": np.bytes_("double")} | attributes)
        file.create_group("#refs#")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


@pytest.mark.parametrize("dimensions", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_arrays_of_matlab_have_their_dimensions_as_in_matlab(folder, responses, dimensions):
    turned = responses.transpose(dimensions)
    scipy.io.savemat(folder / "seven.mat", {"betas": turned, "note": "text"}, do_compression=True)
    scipy.io.savemat(folder / "four.mat", {"betas": turned.reshape(len(turned), -1)}, format="4")
    write_matlab_7_3(folder / "later.mat", "betas", turned)
    (folder / "renamed.h5").write_bytes((folder / "later.mat").read_bytes())
    names = [("repetition", "stimulus", "neuroid")[place] for place in dimensions]
    for file in ("seven.mat", "later.mat", "renamed.h5"):
        assert_right(read_described(describe(folder, responses=file, dimensions=names)), folder, responses)
    refuse(describe(folder, responses="four.mat", dimensions=names), "have the shape")


def test_a_square_array_of_matlab_is_not_transposed(folder, responses):
    square = responses[0, :N_NEUROIDS]
    stimuli = pd.read_csv(folder / "stimuli.csv")[:N_NEUROIDS]
    stimuli.to_csv(folder / "stimuli.csv", index=False)
    scipy.io.savemat(folder / "old.mat", {"a": square})
    write_matlab_7_3(folder / "new.mat", "a", square)
    for file in ("old.mat", "new.mat"):
        found = read_described(describe(folder, responses=file, dimensions=["stimulus", "neuroid"])).recordings
        np.testing.assert_array_equal(found.responses[0], square[np.argsort(stimuli["stimulus"])])


def test_what_is_no_array_of_numbers_in_a_matlab_file_is_named(folder, responses):
    with h5py.File(folder / "own.mat", "w") as file:
        file["a"] = responses
    refuse(describe(folder, responses="own.mat"), "has no attribute MATLAB_class.*ending .h5")
    write_matlab_7_3(folder / "cell.mat", "a", responses, MATLAB_class=np.bytes_("cell"))
    refuse(describe(folder, responses="cell.mat"), "MATLAB's class cell: save it as an array of numbers")
    scipy.io.savemat(folder / "two.mat", {"a": responses, "b": responses, "c": {"d": responses}})
    refuse(describe(folder, responses="two.mat"), r"there are 2 arrays \(a, b\): name one with `array`")
    refuse(describe(folder, responses="two.mat", array="c"), "there is no array 'c'")
    whole = (folder / "two.mat").read_bytes()
    (folder / "cut.mat").write_bytes(whole[: len(whole) // 3])
    refuse(describe(folder, responses="cut.mat", array="a"), r"cut\.mat")
    (folder / "none.mat").write_bytes(b"hello")
    refuse(describe(folder, responses="none.mat"), r"none\.mat")


def test_a_key_that_a_description_gives_twice_is_refused(folder, responses):
    np.savez(folder / "responses.npz", responses)
    path = describe(folder)
    path.write_text(path.read_text() + "dimensions: [neuroid, stimulus, repetition]\n")
    refuse(path, "the key 'dimensions' is given twice")
    path.write_bytes("source: caf\u00e9\n".encode("latin-1"))
    refuse(path, r"description\.yaml is not text in UTF-8")


def test_sessions_of_many_digits_or_with_zeros_in_front_stay_apart(folder, responses):
    np.savez(folder / "responses.npz", responses)
    table = pd.read_csv(folder / "stimuli.csv", dtype=str)
    digits = [f"2026112812345678901{row}" for row in range(N_STIMULI)]
    zeros = ["01", "1", "001", "2", "02", "3", "4"]
    table.assign(session=digits, run=zeros).to_csv(folder / "stimuli.csv", index=False)
    found = read_described(describe(folder)).recordings
    order = np.argsort(table["stimulus"])
    assert found.columns["session"].tolist() == np.array(digits)[order].tolist()
    assert found.columns["run"].tolist() == np.array(zeros)[order].tolist()
    done = CliRunner().invoke(
        app, ["data", "import", str(folder / "description.yaml"), "--output", str(folder / "a.nc")]
    )
    assert done.exit_code == 0
    assert read_recordings(folder / "a.nc").columns["session"].tolist() == found.columns["session"].tolist()


@pytest.mark.parametrize(
    "changes",
    [
        {"stimuli": "no.csv"},
        {"array": "no"},
        {"dimensions": ["stimulus", "neuroid"]},
        {"images": "no"},
        {"stimuli": "a" * 5000},
    ],
)
def test_what_a_description_gets_wrong_is_told_with_its_name(folder, responses, changes):
    np.savez(folder / "responses.npz", one=responses)
    path = describe(folder, **changes)
    with pytest.raises(ValueError, match=f"^{path}: "):
        read_described(path)


def test_a_wrong_number_of_rows_is_told_with_both_files(folder, responses):
    np.savez(folder / "responses.npz", one=responses[:, 1:])
    with pytest.raises(ValueError, match=rf"the responses in {folder}/responses.npz are of 6 .*{folder}/stimuli.csv"):
        read_described(describe(folder))


@pytest.mark.parametrize("place", [("header", b"{"), ("central", b"\x63"), ("flags", b"\x01")])
def test_arrays_that_python_itself_stumbles_over_are_refused(folder, responses, place):
    """A header that its tokenizer cannot divide; a member compressed by an unknown method, or encrypted."""
    np.savez(folder / "responses.npz", one=responses)
    content, (where, byte) = bytearray((folder / "responses.npz").read_bytes()), place
    directory = content.rindex(b"PK\x01\x02")
    start = {"header": content.index(b"'descr'") + 1, "central": directory + 10, "flags": directory + 8}[where]
    content[start : start + (20 if where == "header" else 1)] = byte * (20 if where == "header" else 1)
    (folder / "responses.npz").write_bytes(content)
    with pytest.raises(ValueError, match=f"{folder}/responses.npz"):
        read_described(describe(folder))
