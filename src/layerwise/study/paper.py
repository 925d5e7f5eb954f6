"""Whether a study is the one of the paper, so that its numbers can be held against the published ones."""

from layerwise.config import Study
from layerwise.interfaces import LayerChoice, agreeing, counted
from layerwise.models import registry
from layerwise.study.counts import count_splits

REGIONS = {"V1": "FreemanZiemba2013", "V2": "FreemanZiemba2013", "V4": "MajajHong2015", "IT": "MajajHong2015"}
SPLITS = 5
COMPONENTS = 25


def differs_from_paper(study: Study) -> str:
    """Say in what a study differs from the paper's: its 64 networks, regions, regression and LaMem's five splits.

    Returns
    -------
    str
        Empty if it does not.
    """
    found = (_networks(study), _recordings(study), _ratings(study), _regression(study))
    return "; ".join(reason for reason in found if reason)


def _networks(study: Study) -> str:
    wanted = {name for name in registry.names() if registry.find(name).in_paper}
    plain = [entry for entry in study.models if entry.choice == LayerChoice()]
    given = [entry.registered for entry in plain if entry.weights in (None, "imagenet")]
    lacking, more = wanted - set(given), len(study.models) - len(wanted.intersection(given))
    told = (
        [f"{len(lacking)} of the paper's {len(wanted)} networks {agreeing(len(lacking), 'is', 'are')} not in it"]
        if lacking
        else []
    )
    return ", ".join([*told, *([f"{counted(more, 'other is', 'others are')}"] if more else [])])


def _recordings(study: Study) -> str:
    given = {
        name: str(entry.brainscore).partition(".")[0]
        for entry in study.recordings
        for name in (entry.regions or [])
        if not isinstance(entry.regions, dict)
    }
    other = [region for region, recording in REGIONS.items() if given.get(region) != recording]
    return f"{', '.join(other)}: not Brain-Score's recordings of the paper" if other else ""


def _ratings(study: Study) -> str:
    lamem = [entry for entry in study.ratings if entry.splits is not None and entry.measure == "memorability"]
    if not lamem:
        return "memorability is not of LaMem's split files"
    number = count_splits(lamem[0])
    return "" if number == SPLITS else f"{number} of LaMem's {SPLITS} splits"


def _regression(study: Study) -> str:
    components = study.regression.components
    return "" if components == COMPONENTS else f"{counted(components, 'latent variable')}, not {COMPONENTS}"
