"""Which modules a user chose as layers, and what their outputs are reduced to."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from torch import nn

from layerwise.interfaces import LayerChoice, LayerSpec
from layerwise.layers.patterns import match_names, nearest

CLASS_TOKENS = ("cls_token", "class_token", "class_embedding")  # names of a class token among parameters


def choose_names(network: nn.Module, choice: LayerChoice) -> set[str]:
    """Return the first name of each module that may be a layer; a pattern may match none (`require_matched`)."""
    modules = {name: module for name, module in network.named_modules() if name}
    if choice.which == "all":
        return set(modules)
    if choice.which == "leaves":
        return {name for name, module in modules.items() if next(module.children(), None) is None}
    return {name for pattern in choice.which for name in matched(network, pattern)}


def matched(network: nn.Module, pattern: str) -> list[str]:
    """Find the modules that a pattern matches, by the first of their names."""
    names = _first_names(network)
    return list(dict.fromkeys(names[name] for name in match_names(names, pattern)))


def _first_names(network: nn.Module) -> dict[str, str]:
    """Return of each name of a module the first name of that module."""
    first = {id(module): name for name, module in network.named_modules()}
    return {name: first[id(module)] for name, module in network.named_modules(remove_duplicate=False) if name}


def require_matched(network: nn.Module, choice: LayerChoice, layers: Collection[str], why: Mapping[str, str]) -> None:
    """See that each pattern gives a layer.

    Parameters
    ----------
    network : nn.Module
        The network.
    choice : LayerChoice
        What was chosen.
    layers : collection of str
        Names of its layers.
    why : mapping of str to str
        Of modules that run and are no layers, the reason.

    Raises
    ------
    ValueError
        Some do not; of each the message says what its modules do, or which names are near where it matches none.
    """
    told = []
    for pattern in choice.which if isinstance(choice.which, tuple) else ():
        names = matched(network, pattern)
        if not names:
            near = ", ".join(nearest(pattern, _first_names(network)))
            told.append(f"no module matches {pattern!r}: the nearest are {near}")
        elif set(names).isdisjoint(layers):
            told.append(f"{pattern!r} gives no layer: {_reason(names, why)}")
    if told:
        raise ValueError(f"layers: {'; '.join(told)}")


def _reason(names: Sequence[str], why: Mapping[str, str]) -> str:
    ran = [name for name in names if name in why]
    more = f" (the first of {len(ran or names)} that match)" if len(ran or names) > 1 else ""
    return f"{ran[0]}{more} {why[ran[0]]}" if ran else f"{names[0]}{more} does not run when the network sees images"


class Reducer:
    """Says what outputs of a network are reduced to.

    Parameters
    ----------
    network : nn.Module
        The network.
    choice : LayerChoice
        What was chosen.
    shapes : iterable of tuple of int
        Of the outputs of its modules, for one image.
    """

    def __init__(self, network: nn.Module, choice: LayerChoice, shapes: Iterable[tuple[int, ...]]) -> None:
        self._choice = choice
        self._has_class = any(name.rpartition(".")[2] in CLASS_TOKENS for name, _ in network.named_parameters())
        self._prefix = _prefix_tokens(network, self._has_class)
        self._tokens = _stated_tokens(network, self._prefix)
        if self._tokens is None and self._has_class:  # of patches alone there are fewer
            lengths = Counter(shape[0] for shape in shapes if len(shape) == 2)
            self._tokens = lengths.most_common(1)[0][0] if lengths else None

    def of(self, shape: tuple[int, ...]) -> str:
        """Return how an output of this shape for one image is reduced, as `LayerSpec.reduced`; empty: not at all.

        Raises
        ------
        ValueError
            The class token is asked of a network that has none.
        """
        if len(shape) == 2 and (self._tokens is None or shape[0] == self._tokens):
            return self._of_tokens()
        if len(shape) == 2 and self._choice.tokens == "mean" and shape[0] + self._prefix == self._tokens:
            return "tokens 0-"  # of patches alone
        if len(shape) == 3 and self._choice.pooling != "none":
            return _pooled(shape, self._choice.pooling)
        return ""

    def leaves_whole(self, layer: LayerSpec) -> bool:
        """Return whether tokens are to be reduced, and those of a layer are not: it has another number of them."""
        return self._choice.tokens != "all" and len(layer.shape) == 2 and not layer.reduced

    def _of_tokens(self) -> str:
        if self._choice.tokens == "mean":
            return f"tokens {self._prefix}-"
        if self._choice.tokens == "cls" and not self._has_class:
            raise ValueError(
                "layers: `tokens: cls` asks for the class token, but the network has no parameter "
                f"{', '.join(CLASS_TOKENS[:-1])} or {CLASS_TOKENS[-1]}: choose mean or all"
            )
        return "token 0" if self._choice.tokens == "cls" else ""


def _pooled(shape: tuple[int, ...], how: str) -> str:
    """Reduce an output over its two equal sides, which are space, as images are squares.

    Of three equal sides, the first is that of channels, as PyTorch has it; of three different ones none is space.
    """
    first, second, third = shape
    if second == third:
        return f"{how} 2 3"
    return f"{how} 1 2" if first == second else ""


def _prefix_tokens(network: nn.Module, has_class: bool) -> int:
    """Count the tokens before those of patches: the class token, and registers, as timm states them."""
    stated = (getattr(module, "num_prefix_tokens", None) for module in network.modules())
    return next((number for number in stated if isinstance(number, int)), int(has_class))


def _stated_tokens(network: nn.Module, prefix: int) -> int | None:
    """Return how many tokens the network says that it has, as timm's and torchvision's do; None where it does not."""
    for module in network.modules():
        patches = getattr(getattr(module, "patch_embed", None), "num_patches", None)
        length = getattr(module, "seq_length", None)
        if isinstance(patches, int):
            return patches + prefix
        if isinstance(length, int):
            return length
    return None
