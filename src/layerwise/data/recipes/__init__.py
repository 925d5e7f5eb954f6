"""Recipes: the files of a public data set, as its authors publish them, become a file of a study.

A file a data set; what is known of their formats, and how surely, was noted before any of them was written. What is not
sure is checked on the file at hand, and another layout ends in a sentence. Nothing is downloaded.
"""

from layerwise.data.problems import did_you_mean
from layerwise.data.recipes import figrim, isola, lnsim, memcat, nsd, things, things_fmri, triple_n, tvsd
from layerwise.data.recipes.recipe import Recipe

RECIPES = (
    tvsd.ALL,
    tvsd.TEST,
    tvsd.MEMORABILITY,
    triple_n.RECIPE,
    nsd.RECIPE,
    things_fmri.ALL,
    things_fmri.TEST,
    things_fmri.MEMORABILITY,
    things.ALL,
    memcat.RECIPE,
    figrim.RELEASE,
    figrim.ACROSS,
    figrim.WITHIN,
    isola.RECIPE,
    lnsim.RECIPE,
)


def find_recipe(name: str) -> Recipe:
    """Return the recipe of a name.

    Raises
    ------
    ValueError
        There is none.
    """
    known = {recipe.name: recipe for recipe in RECIPES}
    if name not in known:
        raise ValueError(f"there is no recipe {name!r}: {did_you_mean(name, known)}")
    return known[name]
