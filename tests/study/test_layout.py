"""Every path of a study's results: two results never share one, and the rules spell none of their own."""

import inspect
import re
from pathlib import Path

from layerwise.config import validate_study
from layerwise.study import Layout, layout_of

ROOT = Path(__file__).parents[2]


def test_results_lie_in_a_folder_of_the_studys_name():
    study = validate_study({"study": "s", "models": ["alexnet"], "storage": {"results": "my results"}})
    assert layout_of(study).brain("alexnet", "V1", "001-021") == "my results/s/models/alexnet/brain/V1/001-021.parquet"


def test_no_two_results_share_a_path():
    layout, paths = Layout("r"), []
    for name, member in inspect.getmembers(Layout):
        if name.startswith("_") or name in ("folder", "model"):
            continue
        if isinstance(member, property):
            paths.append(getattr(layout, name))
            continue
        given = inspect.signature(member).parameters.values()
        words = [f"<{one.name}>" for one in given if one.name not in ("self", "names", "ending")]
        found = getattr(layout, name)(*words, **({"ending": "h5"} if name == "scratch" else {}))
        paths += found if isinstance(found, list) else [found]
    assert len(paths) > 15 and len(set(paths)) == len(paths)
    assert all(path.startswith("r/") for path in paths)


def test_what_a_job_leaves_until_it_ends_lies_in_scratch_alone():
    layout = Layout("r")
    assert layout.scratch("stream_memorability", "a", "b", ending="state") == "r/scratch/stream_memorability/a/b.state"
    assert layout.log("plot_figure2") == "r/logs/plot_figure2.log"


def test_rules_and_steps_spell_no_path_of_a_result():
    files = [*(ROOT / "workflow/rules").glob("*.smk"), *(ROOT / "src/layerwise").rglob("*.py")]
    spelled = re.compile(
        r"""["'/](models|finetuned|penultimate|stimuli|activations|ceilings|consistency|tables|scratch|logs)/"""
    )
    others = {"layout.py", *(file.name for file in (ROOT / "src/layerwise/data/recipes").iterdir())}  # of data sets
    strange = {file.name for file in files if spelled.search(file.read_text())} - others
    assert strange == set()
