"""What is kept of the layers of a network, a layer at a time."""

from layerwise.interfaces import counted
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from layerwise.activations import ActivationStore
from layerwise.results.names import require


@dataclass(frozen=True, eq=False)
class Kept(Mapping[str, xr.DataArray]):
    """Activations of a network to a set of stimuli: a layer is read when it is asked for.

    `kept[layer]` is float32 [stimulus, unit]; of a layer with more units than there are stimuli, the Gram matrix of the
    centred activations, float64 [stimulus, other]. Its `attrs` say which ("kind": "activations" or "gram"), the class,
    the shape for one image and the number of units, and whether values were not finite.

    Parameters
    ----------
    store : ActivationStore
        The file.
    same_as : mapping of str to str
        Of all layers, in order of depth, the one whose values it has: of most, itself.
    """

    store: ActivationStore
    same_as: Mapping[str, str]

    def __getitem__(self, layer: str) -> xr.DataArray:
        require(layer, self.same_as, f"layer of {self.store.model}")
        spec = next(one for one in self.store.layers if one.name == self.same_as[layer])
        stored, ids = self.store.read(spec.name), list(self.stimuli)
        columns, coordinates = ("unit", {}) if stored.kind == "activations" else ("other", {"other": ids})
        told = {"kind": stored.kind, "class": spec.kind, "shape": spec.shape, "units": spec.units}
        return xr.DataArray(
            stored.array,
            dims=("stimulus", columns),
            coords={"stimulus": ids, **coordinates},
            name=layer,
            attrs={**told, "nonfinite": stored.nonfinite},
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.same_as)

    def __len__(self) -> int:
        return len(self.same_as)

    def __repr__(self) -> str:
        layers, stimuli = counted(len(self), "layer"), counted(len(self.stimuli), "stimulus", "stimuli")
        return f"<activations of {layers} of {self.store.model} to {stimuli}>"

    @property
    def stimuli(self) -> tuple[str, ...]:
        """Ids, in the order of the rows."""
        return self.store.stimuli

    def gram(self, layer: str) -> xr.DataArray:
        """Return the Gram matrix of a layer's centred activations, read or computed: float64 [stimulus, other]."""
        found = self[layer]
        if found.attrs["kind"] == "gram":
            return found
        centred = found.to_numpy().astype(np.float64)
        centred -= centred.mean(axis=0)
        ids = list(self.stimuli)
        return xr.DataArray(
            centred @ centred.T,
            dims=("stimulus", "other"),
            coords={"stimulus": ids, "other": ids},
            name=layer,
            attrs={**found.attrs, "kind": "gram"},
        )
