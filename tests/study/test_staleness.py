"""Every step on a small study: it reads no setting and calls no code that does not count among its causes."""

import inspect
import json
import sys
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from pydantic import BaseModel

from layerwise.config import validate_study
from layerwise.config.data import RatingEntry, RecordingEntry
from layerwise.config.models import FINETUNED, ModelEntry
from layerwise.config.settings import ComputeSettings, StorageSettings
from layerwise.data.recordings import write_recordings
from layerwise.files import Contents
from layerwise.files.tables import write_table
from layerwise.interfaces import Recordings, StimulusSet
from layerwise.layers.manifest import write_manifest
from layerwise.study import WEIGHTS, Layout, layout_of
from layerwise.study.staleness import RUN_ONLY, STANDS_FOR, STEPS, Causes, is_declared, sources_of
from layerwise.study.staleness.code import APART

N, CROP, SQUARE = 40, "crop36to32-bilinear", "square32-bilinear"
LARGER = "crop36to36-bilinear"  # from which crops are taken
CONTENT = {
    "study": "s",
    "models": [
        {"name": "tiny", "factory": "tiny_networks:build", "preprocessing": {"size": 32, "resize": 36}},
        {"name": "other", "model": "alexnet", "weights": "random"},
    ],
    "recordings": [
        {"name": "movies", "file": "movies.nc", "min_reliability": -0.99, "splits": {"n_splits": 2}},
        {"name": "others", "file": "movies.nc", "regions": {"V1": "V1_again"}},
    ],
    "ratings": [
        {"name": "rated", "images": "photos", "scores": "scores.csv", "rater_columns": ["anna", "ben"], "folds": 2},
        {"name": "second", "images": "photos", "scores": "scores.csv", "score_column": "anna", "measure": "anna"},
    ],
    "brain": {"pca": {"images": "photos", "components": 8, "n_images": 30}},
    "imagenet": {"images": "photos", "labels": "labels.txt"},
    "regression": {"components": 3, "halves": 3},
    "memorability": {"dimensions": 64},
    "finetuning": {"ratings": "rated", "batch_size": 8, "max_epochs": 1},
    "statistics": {"neuroids": 50},
    "compute": {"threads": 1},
}
BEFORE = ("<module>", "__getattr__", "__create_fn__")  # what runs when a module is imported, or a class of it made
ENTRIES = {"models": ModelEntry, "recordings": RecordingEntry, "ratings": RatingEntry}
SINGULAR = {"models": "model", "recordings": "recording", "ratings": "rating"}


@dataclass
class Seen:
    """What a step did: the settings it read, the sections it found not to be there, the code that it called."""

    settings: set[str] = field(default_factory=set)
    absent: set[tuple[str, type]] = field(default_factory=set)
    code: set[str] = field(default_factory=set)


class Recording:
    """Stands in for a study, or a section of it, and writes down what is read; methods see the stand-in, too."""

    def __init__(self, real, path, seen, about):
        self._real, self._path, self._seen, self._about = real, path, seen, about

    def __getattr__(self, name):
        if name in type(self._real).model_fields:
            return self._field(name, getattr(self._real, name))
        member = inspect.getattr_static(type(self._real), name)
        if isinstance(member, property):
            return member.fget(self)
        if hasattr(BaseModel, name):  # such as model_dump
            self._seen.settings.add(self._path)
            return getattr(self._real, name)
        assert isinstance(member, FunctionType), name
        return partial(member, self)

    def _field(self, name, value):
        path = ".".join(filter(None, (self._path, name)))
        if isinstance(value, BaseModel):
            return Recording(value, path, self._seen, self._about)
        if self._path == "" and name in SINGULAR:
            return [Recording(one, self._entry(name, one), self._seen, self._about) for one in value]
        kinds = [one for one in get_args(type(self._real).model_fields[name].annotation) if inspect.isclass(one)]
        sections = [one for one in kinds if issubclass(one, BaseModel)]
        if value is None and sections:
            self._seen.absent.add((path, sections[0]))
        else:
            self._seen.settings.add(path)
        return value

    def _entry(self, name, one):
        return SINGULAR[name] if one.name in self._about else name


def undeclared(step, study, seen):
    """The settings that a step read and does not declare, where others count only together with some that are set."""
    has = [other for other in STEPS[step].only_with.values() if setting_of(study, other) is not None]
    read = {setting for setting in seen.settings if not is_declared(step, setting, has)}
    absent = {
        path
        for path, kind in seen.absent
        if not any(is_declared(step, f"{path}.{key}", has) for key in kind.model_fields)
    }
    return read | absent


def setting_of(study, setting):
    kind, name = setting.split(".")
    return getattr(study.recordings[0] if kind == "recording" else getattr(study, kind), name)


def uncovered(step, seen):
    """The code of this package that a step called and that is not behind it; types are no matter."""
    behind = {name.replace(":", ".") for name in sources_of(step)}
    return {name for name in seen.code - behind if not name.startswith("layerwise.interfaces.")}


class Tracing:
    """Notes the modules of this package whose functions are called, of the steps' room the functions.

    What code calls that is set apart is apart, too.
    """

    def __init__(self, seen):
        self.code, self.known = seen.code, set()

    def __enter__(self):
        sys.setprofile(self.note)

    def __exit__(self, *_):
        sys.setprofile(None)

    def note(self, frame, event, _argument):
        if event != "call" or frame.f_code in self.known:
            return
        module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_qualname.partition(".")[0]
        # What runs when a module is imported is no code of the step; a package's `__getattr__` looks names up.
        if module.startswith("layerwise.") and name not in BEFORE and not is_apart(frame):
            self.known.add(frame.f_code)
            self.code.add(f"{module}.{name}" if module.startswith("layerwise.steps.") else module)


def is_apart(frame):
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if any(f"{module}.".startswith(f"{one}.") for one in APART):
            return True
        frame = frame.f_back
    return False


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Images, scores, recordings; tests run in their folder."""
    folder, rng = tmp_path_factory.mktemp("study"), np.random.default_rng(5)
    (folder / "photos").mkdir()
    names = [f"{index:02d}.png" for index in range(N)]
    for name in names:
        Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(folder / "photos" / name)
    raters = rng.random((2, N)) + rng.random(N)
    table = {"image": names, "score": raters.mean(axis=0), "anna": raters[0], "ben": raters[1]}
    pd.DataFrame(table).to_csv(folder / "scores.csv", index=False)
    (folder / "labels.txt").write_text("".join(f"{name} 0\n" for name in names))
    images = StimulusSet("photos", tuple(names), tuple(folder / "photos" / name for name in names))
    recordings = Recordings(rng.standard_normal((4, N, 3)), tuple(names), tuple("abc"), ("V1",) * 3)
    write_recordings(recordings, folder / "movies.nc", images)
    return folder


def jobs(layout: Layout):
    """Each step in the order of the data: what its job is about, its other arguments, and a change of the config."""
    manifest = Path(layout.manifest("tiny"))
    cut = {name: Path(layout.pixels(name, CROP if name == "rated" else SQUARE)) for name in ("rated", "movies")}
    larger = Path(layout.pixels("rated", LARGER))
    drawn = Path(layout.pixels("pca_images", SQUARE))
    kept = {name: Path(layout.activations("tiny", name)) for name in ("rated", "movies")}
    folder, gathered = Path(layout.folder), Path(layout.model_layers("tiny"))
    tables = Path(layout.layers), Path(layout.table("correlations"))

    def scored(ratings):
        return Path(layout.memorability("tiny", ratings, "001-007"))

    tiny, v1, rated = {"model": "tiny"}, {"region": "V1"}, {"ratings": "rated"}
    block = {"block": "001-007", "manifest": manifest}
    many = {"memorability": {"small": 10, "dimensions": 64}}
    return [
        ("list_layers", tiny, {"manifest": manifest, "preprocessing": Path(layout.preprocessing("tiny"))}, {}),
        *(
            ("pack_stimuli", {"stimuli": name}, {"geometry": path.stem, "output": path}, {})
            for name, path in [*cut.items(), ("pca_images", drawn), ("rated", larger)]
        ),
        ("extract_activations", tiny, {"pixels": cut["rated"], "output": kept["rated"], "manifest": manifest}, {}),
        (
            "extract_activations",
            tiny,
            {"pixels": cut["movies"], "pca_pixels": drawn, "output": kept["movies"], "manifest": manifest},
            {},
        ),
        ("estimate_ceiling", v1, {"output": Path(layout.ceiling("V1"))}, {}),
        ("estimate_ceiling", {"region": "V1_again"}, {"output": Path(layout.ceiling("V1_again"))}, {}),
        ("estimate_consistency", rated, {"output": Path(layout.consistency("rated"))}, {}),
        *(
            (
                "score_brain",
                {**tiny, "region": region},
                {"activations": kept["movies"], "output": Path(layout.brain("tiny", region, "001-007")), **block},
                {},
            )
            for region in ("V1", "V1_again")
        ),
        *(
            (
                "score_memorability",
                {**tiny, "ratings": ratings},
                {"activations": kept["rated"], "output": scored(ratings), **block},
                {},
            )
            for ratings in ("second", "rated")
        ),
        (
            "finetune_network",
            tiny,
            {
                "pixels": larger,
                "splits": ["2"],
                "output_folder": Path(layout.finetuned_folder("tiny")),
                "state_folder": Path(layout.scratch("finetune_network", "tiny", ending="states")),
            },
            {},
        ),
        ("gather_model", tiny, {"folder": folder, "output": gathered, "manifest": manifest}, {}),
        ("gather_study", {}, {"folder": folder, "output": tables[0]}, {"models": CONTENT["models"][:1]}),
        ("correlate_layers", {}, {"layers": tables[0], "output": tables[1], "folder": folder}, {}),
        ("analyse_layers", {}, {"layers": tables[0], "folder": folder}, {}),
        ("compare_finetuning", {}, {"finetuned": Path(layout.finetuned_table), "folder": folder}, {}),
        ("summarise_models", {}, {"layers": tables[0], "output": Path(layout.table("models"))}, {}),
        ("tabulate_networks", {}, {"layers": tables[0], "output": Path(layout.table("networks"))}, {}),
        (
            "score_networks",
            {},
            {
                "layers": tables[0],
                "networks": Path(layout.table("networks")),
                "folder": folder,
                "finetuned": Path(layout.finetuned_table),
            },
            {},
        ),
        ("correlate_regions", {}, {"layers": tables[0], "output": Path(layout.table("regions"))}, {}),
        (
            "compare_paper",
            {},
            {
                "layers": tables[0],
                "correlations": tables[1],
                "controls": Path(layout.table("network_correlations")),
                "networks": Path(layout.table("network_scores")),
                "folder": folder,
            },
            {},
        ),
        ("stream_memorability", {**tiny, **rated}, {"pixels": cut["rated"], "output": scored("rated"), **block}, many),
        (
            "sketch_memorability",
            {**tiny, **rated},
            {"pixels": cut["rated"], "output": scored("rated"), **block},
            {"memorability": {"small": 10, "method": "sketch", "dimensions": 64}},
        ),
        *finetuned_jobs(layout, cut["movies"], drawn),
        ("check_accuracy", {"model": "squeezenet"}, {"output": Path(layout.accuracy("squeezenet"))}, GATE),
        *jobs_of_profiles(layout, cut["rated"]),
    ]  # fmt: skip


def jobs_of_profiles(layout: Layout, pixels: Path):
    """The same of the network as training on a split left it, whose head of one unit is no layer."""
    model, alone = "tiny.finetuned-2", {"recordings": [], "ratings": CONTENT["ratings"][:1]}
    profiled = alone | {"finetuning": CONTENT["finetuning"] | {"models": ["tiny"], "splits": [2], "profile": True}}
    one, many = {"model": model}, {"memorability": {"small": 10, "dimensions": 64}}
    manifest, kept = Path(layout.manifest(model)), Path(layout.activations(model, "rated"))
    scored, gathered = Path(layout.memorability(model, "rated", "001-006")), Path(layout.model_layers(model))
    rated, block = {**one, "ratings": "rated"}, {"block": "001-006", "output": scored, "manifest": manifest}
    listed = {"manifest": manifest, "preprocessing": Path(layout.preprocessing(model))}
    return [
        ("list_layers", one, listed, profiled),
        ("extract_activations", one, {"pixels": pixels, "output": kept, "manifest": manifest}, profiled),
        ("stream_memorability", rated, {"pixels": pixels, **block}, profiled | many),
        ("sketch_memorability", rated, {"pixels": pixels, **block}, profiled | many),
        ("score_memorability", rated, {"activations": kept, **block}, profiled),
        ("gather_model", one, {"folder": Path(layout.folder), "output": gathered, "manifest": manifest}, profiled),
        (
            "gather_finetuned_layers",
            {},
            {"folder": Path(layout.folder), "output": Path(layout.finetuned_layers)},
            profiled,
        ),
    ]


def finetuned_jobs(layout, movies, drawn):
    """What comes of a network that was trained on a split; both recordings have the same pixels."""
    tiny, folder, jobs = {"model": "tiny"}, Path(layout.folder), []
    arguments = {
        "pixels": [movies, movies],
        "pca_pixels": [drawn, drawn],
        "output_folder": Path(layout.penultimate_folder("tiny")),
        "weights": [Path(layout.finetuned("tiny", "2", WEIGHTS))],
    }
    jobs.append(("score_penultimate", tiny, arguments))
    jobs.append(("gather_finetuned", tiny, {"folder": folder, "output": Path(layout.model_finetuned("tiny"))}))
    jobs.append(("gather_finetuned_study", {}, {"folder": folder, "output": Path(layout.finetuned_table)}))
    changes = {"finetuning": CONTENT["finetuning"] | {"models": ["tiny"], "splits": [2]}}
    return [(*job, changes) for job in jobs]


WITHOUT_STUDY = {"describe_tables", "make_report"}  # beside those that draw
GATE = {"models": [{"name": "squeezenet", "model": "squeezenet1_1"}]}


def run(step, names, arguments, study):
    """Run a step on a study that writes down what is read of it."""
    module, _, function = STEPS[step].function.partition(":")
    call, seen = getattr(import_module(module), function), Seen()
    of_ratings = step in ("finetune_network", "gather_finetuned")
    named = {*names.values(), *({study.finetuning.ratings} if of_ratings else ())}
    named |= {network for name in named for network, mark, _ in [name.rpartition(FINETUNED)] if mark}
    about = {*named, {"V1": "movies", "V1_again": "others"}.get(names.get("region"))}
    with Tracing(seen):
        call(Recording(study, "", seen, about), **names, **arguments)
    return seen


@pytest.fixture(scope="module")
def ran(home):
    """All steps, run once: (step, study, what was seen) for each job."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        # The gate needs official weights, and accuracies that no network reaches on noise.
        from layerwise.analyses import proof

        patch.setattr(proof, "build", lambda spec, weights_folder: proof.build_empty(spec).to_empty(device="cpu"))
        patch.setattr("layerwise.analyses.accuracy.Accuracy.passed", True, raising=False)
        trained = {f"{region}_{when}": 0.5 for region in ("V1", "V1_again") for when in ("before", "after")}
        write_table(
            pd.DataFrame([{"model": "tiny", "split": "1", "rho": 0.5, **trained}]), "results/s/finetuned.parquet"
        )
        threads, found = torch.get_num_threads(), []
        for step, names, arguments, changes in jobs(layout_of(validate_study(CONTENT))):
            study = validate_study(CONTENT | changes)
            found.append((step, study, run(step, names, arguments, study)))
        torch.set_num_threads(threads)
    return found


def test_every_step_that_is_given_a_study_is_run(ran):
    assert {step for step, _, _ in ran} == {step for step in STEPS if not step.startswith("plot_")} - WITHOUT_STUDY


def test_no_step_reads_a_setting_that_it_does_not_declare(ran):
    assert {step: found for step, study, seen in ran if (found := undeclared(step, study, seen))} == {}


def test_no_step_calls_code_that_is_not_behind_it(ran):
    assert {step: found for step, _, seen in ran if (found := uncovered(step, seen))} == {}


@pytest.mark.parametrize(
    ("step", "setting"),
    [
        ("score_brain", "regression.components"),
        ("score_brain", "recording.splits"),
        ("estimate_ceiling", "regression.halves"),
        ("score_memorability", "rating.seed"),
        ("stream_memorability", "memorability.convolutions"),
        ("sketch_memorability", "memorability.dimensions"),
        ("extract_activations", "network"),
        ("finetune_network", "finetuning.learning_rate"),
        ("finetune_network", "rating.folds"),
        ("score_penultimate", "recordings.splits"),
        ("gather_finetuned", "rating.folds"),
        ("gather_model", "regions"),
        ("correlate_layers", "ratings.measure"),
    ],
)
def test_a_setting_that_were_not_declared_would_be_found(ran, monkeypatch, step, setting):
    declared = STEPS[step]
    left = tuple(one for one in declared.depends_on if one not in (setting, "regions", "columns"))
    monkeypatch.setitem(STEPS, step, replace(declared, depends_on=left))
    expected = {"network": "compute.versions", "regions": "recordings.regions"}.get(setting, setting)
    assert expected in set().union(*(undeclared(name, study, seen) for name, study, seen in ran if name == step))


def test_what_counts_only_with_another_setting_is_read_only_with_it(ran):
    halved, plain = [seen for step, _, seen in ran if step == "score_brain"]
    assert "regression.halves" not in plain.settings  # of the second recording no reliability is asked
    bare = validate_study(CONTENT | {"recordings": [{"name": "movies", "file": "movies.nc"}]})
    assert undeclared("score_brain", bare, plain) == set()
    assert "regression.halves" in undeclared("score_brain", bare, halved)


def fields(section, path):
    for name, one in section.model_fields.items():
        inner = [kind for kind in (one.annotation, *get_args(one.annotation)) if inspect.isclass(kind)]
        inner = [kind for kind in inner if issubclass(kind, BaseModel)]
        yield from fields(inner[0], f"{path}{name}.") if inner else [f"{path}{name}"]


def test_every_setting_that_is_named_is_one_of_the_config():
    known = {*fields(type(validate_study(CONTENT)), "")}
    for plural, kind in ENTRIES.items():
        for head in (plural, SINGULAR[plural]):
            known |= {head, *fields(kind, f"{head}.")}
    named = {*RUN_ONLY, *(one for names in STANDS_FOR.values() for one in names)}
    for step in STEPS.values():
        named |= {
            *step.depends_on,
            *step.only_with,
            *step.only_with.values(),
            *step.changes_nothing,
        } - STANDS_FOR.keys()
    assert {name for name in named if not any(f"{one}.".startswith(f"{name}.") for one in known)} == set()


def test_what_says_only_how_to_run_has_a_reason_and_is_depended_on_by_no_step():
    reasons = [*RUN_ONLY.values(), *(text for step in STEPS.values() for text in step.changes_nothing.values())]
    assert all(len(text.split()) > 3 for text in reasons)
    plain = {one for step in STEPS.values() for one in step.depends_on}
    assert plain & RUN_ONLY.keys() <= {"models.name", "ratings.name"}
    for section, kind in (("compute", ComputeSettings), ("storage", StorageSettings)):
        assert {f"{section}.{name}" for name in kind.model_fields} - {"compute.versions"} <= RUN_ONLY.keys()


# --- the parameter of a rule ------------------------------------------------------------------------------------------


@pytest.fixture
def causes(home, monkeypatch, tmp_path):
    """What a step's result depends on, of the study with changes: {setting: value}."""
    monkeypatch.chdir(home)

    def find(step, names, **changes):
        study = validate_study(CONTENT | changes)
        return Causes(study, Contents(tmp_path / "contents.json"), lambda model: layout_of(study).manifest(model)).of(
            step, names
        )

    return find


JOB = {"model": "other", "region": "V1"}
MOVIES = CONTENT["recordings"][0]


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"regression": {"components": 2, "halves": 3}}, {"regression.components"}),
        ({"regression": {"components": 3, "halves": 4}}, {"regression.halves"}),
        ({"recordings": [MOVIES | {"splits": {"n_splits": 3}}, *CONTENT["recordings"][1:]]}, {"recording.splits"}),
        ({"recordings": [MOVIES | {"animals": ["a"]}, *CONTENT["recordings"][1:]]}, {"recording.animals"}),
        ({"recordings": [MOVIES, CONTENT["recordings"][1] | {"splits": {"n_splits": 3}}]}, set()),
        ({"brain": {"pca": {"images": "photos", "components": 9, "n_images": 30}}}, {"brain.pca.components"}),
        ({"brain": {"pca": {"images": "photos", "components": 8, "n_images": 31}}}, set()),
        ({"ratings": [], "finetuning": None}, set()),
        ({"compute": {"threads": 2, "memory": "1GB", "batch_size": 3, "layers_per_job": 1}}, set()),
        ({"storage": {"results": "elsewhere"}}, set()),
    ],
)
def test_a_change_of_the_config_changes_what_it_decides_and_nothing_else(causes, changes, changed):
    before, after = causes("score_brain", JOB), causes("score_brain", JOB, **changes)
    assert {name for name in before | after if before.get(name) != after.get(name)} == changed


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": {"pooling": "mean"}},
        {"models": [CONTENT["models"][0] | {"layers": ["5"]}, CONTENT["models"][1]]},
    ],
)
def test_a_change_of_which_layers_lists_them_again(causes, changes):
    before, after = causes("list_layers", {"model": "tiny"}), causes("list_layers", {"model": "tiny"}, **changes)
    assert {name for name in before if before[name] != after[name]} == {"model.layers"}


TRAINED = CONTENT["finetuning"]


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"finetuning": TRAINED | {"learning_rate": 0.1}}, {"finetuning.learning_rate"}),
        ({"finetuning": TRAINED | {"precision": "bf16", "seed": 2}}, {"finetuning.precision", "finetuning.seed"}),
        ({"finetuning": TRAINED | {"models": ["other"], "splits": [1], "folds_per_job": 2, "profile": True}}, set()),
        ({"ratings": [CONTENT["ratings"][0] | {"folds": 3}, CONTENT["ratings"][1]]}, {"rating.folds"}),
        ({"ratings": [CONTENT["ratings"][0], CONTENT["ratings"][1] | {"folds": 3}]}, set()),
        ({"recordings": [], "regression": {"components": 2}, "compute": {"memory": "1GB"}}, set()),
        ({"models": [CONTENT["models"][0], CONTENT["models"][1] | {"seed": 2}]}, {"network"}),
    ],
)
def test_what_a_fine_tuning_depends_on(causes, changes, changed):
    job = {"model": "other", "ratings": "rated"}
    before, after = causes("finetune_network", job), causes("finetune_network", job, **changes)
    assert {name for name in before | after if before.get(name) != after.get(name)} == changed


def test_halves_count_for_scores_only_where_neuroids_are_left_out(causes):
    assert "regression.halves" in causes("score_brain", JOB)
    assert "regression.halves" not in causes("score_brain", {"model": "other", "region": "V1_again"})
    assert "regression.halves" in causes("estimate_ceiling", {"region": "V1_again"})


def test_drawn_images_count_for_their_own_pixels_alone(causes):
    fewer = {"brain": {"pca": {"images": "photos", "components": 8, "n_images": 20}}}
    drawn, movies = {"stimuli": "pca_images", "geometry": "x"}, {"stimuli": "movies", "geometry": "x"}
    assert causes("pack_stimuli", drawn) != causes("pack_stimuli", drawn, **fewer)
    assert causes("pack_stimuli", movies) == causes("pack_stimuli", movies, **fewer)


def test_the_content_of_files_counts_and_not_their_names(causes, home):
    job = {"model": "other", "ratings": "rated"}
    (home / "copied.csv").write_bytes((home / "scores.csv").read_bytes())
    renamed = [CONTENT["ratings"][0] | {"scores": "copied.csv"}]
    before = causes("score_memorability", job)
    assert causes("score_memorability", job, ratings=renamed) == before
    (home / "copied.csv").write_text((home / "scores.csv").read_text().replace("0.", "1.", 1))
    after = causes("score_memorability", job, ratings=renamed)
    assert {name for name in before if before[name] != after[name]} == {"scores"}


def test_the_parameter_holds_plain_values(causes, ran):
    for step, names in {"score_brain": JOB, "pack_stimuli": {"stimuli": "rated"}, "gather_model": JOB}.items():
        found = causes(step, names)
        assert json.loads(json.dumps(found)) == found


def test_an_own_networks_layers_are_read_anew_and_what_ships_once(home, ran, monkeypatch, tmp_path):
    monkeypatch.chdir(home)
    study, manifest = validate_study(CONTENT), tmp_path / "manifest.tsv"
    causes = Causes(study, Contents(tmp_path / "contents.json"), lambda _: str(manifest))
    manifest.write_bytes(Path(layout_of(study).manifest("tiny")).read_bytes())
    assert causes.is_own("tiny") and not causes.is_own("other")
    before = causes.layers_hash("tiny")
    write_manifest(causes.layers("tiny")[:-1], manifest)
    assert causes.layers_hash("tiny") != before
    assert len(causes.layers("other")) == 21
