"""Layers that have too few units for the components that are asked for."""

import warnings
from collections.abc import Sequence

from layerwise.interfaces import DegenerateWarning, LayerSpec


def too_few_units(layers: Sequence[LayerSpec], n_components: int) -> frozenset[str]:
    """Find the layers with fewer units than components: they have no score; the other layers are scored.

    Parameters
    ----------
    layers : sequence of LayerSpec
        The layers to score.
    n_components : int
        Number of latent variables.

    Returns
    -------
    frozenset of str
        Their names.

    Warns
    -----
    DegenerateWarning
        There are such layers.
    """
    few = {layer.name: layer.units for layer in layers if layer.units < n_components}
    if few:
        named = ", ".join(f"{name} ({units} units)" for name, units in list(few.items())[:5])
        more = ", ..." if len(few) > 5 else ""
        warnings.warn(
            f"no score for {len(few)} of {len(layers)} layers (fewer units than the {n_components} components that are "
            f"asked for): {named}{more}",
            DegenerateWarning,
            stacklevel=3,
        )
    return frozenset(few)
