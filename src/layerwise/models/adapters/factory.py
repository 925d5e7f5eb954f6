"""Networks of the user: any function that returns a torch network."""

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from layerwise.files import reraise_memory
from layerwise.interfaces import ModelSpec
from layerwise.interfaces.failures import describe_failure
from layerwise.models.adapters.base import Adapter, call_constructor
from layerwise.models.seeds import seeded


def _build(spec: ModelSpec) -> nn.Module:
    return call_constructor(_telling(find_factory(spec.constructor), spec.constructor), spec)


def _telling(function: Callable[..., Any], text: str) -> Callable[..., Any]:
    def call(**options: Any) -> Any:
        try:
            return function(**options)
        except (Exception, SystemExit) as error:
            if isinstance(error, TypeError) and _is_of_the_call(error):
                raise  # `call_constructor` names the options, which are the reason
            reraise_memory(error, f"building {text}")
            raise ValueError(f"the factory {text!r} failed with {describe_failure(error)}") from error

    return call


def _is_of_the_call(error: BaseException) -> bool:
    """Return whether an error was raised before the function itself began."""
    return error.__traceback__ is not None and error.__traceback__.tb_next is None


def find_factory(text: str) -> Callable[..., Any]:
    """Import a factory.

    Raises
    ------
    ValueError
        It is not there, cannot be imported, or is no function.
    """
    module_name, colon, name = text.partition(":")
    if not (module_name and colon and name):
        raise ValueError(f"a factory looks like package.module:function, not {text!r}")
    try:
        # What a module draws when it is imported must not shift the seed of the networks that it builds.
        with seeded(0):
            module = import_module(module_name)
    except ImportError as error:
        reraise_memory(error, f"importing {module_name}")
        raise ValueError(
            f"the factory {text!r} cannot be imported ({error}): is its package installed, or its folder on PYTHONPATH?"
        ) from error
    except (Exception, SystemExit) as error:  # the module's own code runs when it is imported
        reraise_memory(error, f"importing {module_name}")
        raise ValueError(f"the factory {text!r} cannot be imported: it raised {describe_failure(error)}") from error
    function = getattr(module, name, None)
    if function is None:
        near = get_close_matches(name, dir(module), n=1)
        raise ValueError(f"{module_name} has no {name!r}" + (f": did you mean {near[0]!r}?" if near else ""))
    if not callable(function):
        raise ValueError(f"the factory {text!r} is {type(function).__name__}, not a function")
    return function  # type: ignore[no-any-return]


def _pretrained(spec: ModelSpec, folder: Path | None) -> nn.Module:
    del folder
    raise ValueError(
        f"the factory {spec.constructor!r} has no official ImageNet weights: give the path of a file, "
        "`random`, or no weights to keep those that the function loads"
    )


ADAPTER = Adapter(_build, _pretrained)
