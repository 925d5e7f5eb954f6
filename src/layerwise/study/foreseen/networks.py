"""Networks: names and layers that nothing has, and files that hold no weights."""

from collections.abc import Iterator
from difflib import get_close_matches

from layerwise.config.models import ModelEntry
from layerwise.data.problems import did_you_mean
from layerwise.files import explain_denial
from layerwise.files.defined import defined_names
from layerwise.files.mistaken import check_is_content
from layerwise.interfaces import Preprocessing
from layerwise.layers.patterns import find_unmatched
from layerwise.models import timm_names
from layerwise.models.preprocessing import usual_resize
from layerwise.study.foreseen.paths import find_wrong, of_model


def model_problems(entry: ModelEntry) -> Iterator[str]:
    """Find names that nothing has, from texts and manifests: what importing shows besides, `check-config` finds."""
    if entry.registered is not None and not isinstance(entry.choice.which, str):
        yield from find_unmatched(entry.registered, entry.choice.which)
    if entry.factory:
        yield from _wrong_factory(entry.factory)
    if entry.timm and timm_names.is_unknown(entry.timm):
        near = get_close_matches(entry.timm.partition(".")[0], timm_names.names_in_text(), n=3)
        yield f"timm has no network {entry.timm!r}" + (f": did you mean {' or '.join(near)}?" if near else "")
    yield from _wrong_weights(entry)


def _wrong_weights(entry: ModelEntry) -> Iterator[str]:
    path = entry.weights_file()
    try:
        yield from find_wrong(of_model(entry))
        if path is not None and path.is_file():
            check_is_content(path, "file of weights")
    except (ValueError, OSError) as error:
        yield explain_denial(error)


def _wrong_factory(factory: str) -> Iterator[str]:
    module, _, function = factory.partition(":")
    try:
        names = defined_names(module)
    except ModuleNotFoundError:
        yield f"its factory {factory!r} cannot be imported: there is no module or package {module!r} here"
        return
    if names is not None and function not in names:
        hint = did_you_mean(function, names)
        yield f"its factory {factory!r} cannot be imported: {module} has no {function!r}; {hint}"


def cut_photographs(entry: ModelEntry) -> Iterator[str]:
    """Find that a size was given and the library's `resize` stayed, so that most of a photograph is cropped away."""
    given, found = entry.preprocessing, entry.spec().preprocessing
    if given is None or given.size is None or given.resize is not None or not isinstance(found, Preprocessing):
        return
    kept = (found.size / found.resize) ** 2
    if kept < 0.5:
        yield (
            f"photographs are resized to {found.resize} pixels and it sees the middle {found.size} of them, "
            f"{kept:.0%} of the area: a `resize` of {usual_resize(found.size)} beside `size` shows as much as is usual"
        )
