"""PyTorch's optimisers, set up so that a CUDA graph can hold their step; and the learning rate of each epoch."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from layerwise.interfaces.finetuning import FinetuneSettings


def make_optimiser(parameters: Iterable[nn.Parameter], settings: FinetuneSettings) -> torch.optim.Optimizer:
    """Return the optimiser of the parameters that learn.

    On a GPU its learning rate lies in a tensor: a number would be frozen into a recorded graph.

    Raises
    ------
    ValueError
        No parameter learns.
    """
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    if not learning:
        raise ValueError("no parameter of the network learns: let some require gradients")
    device = learning[0].device
    on_gpu = device.type == "cuda"
    rate = torch.tensor(settings.learning_rate, device=device) if on_gpu else settings.learning_rate
    if settings.optimiser == "sgd":
        return torch.optim.SGD(
            learning,
            lr=rate,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=settings.weight_decay,
            fused=on_gpu,
        )
    return torch.optim.AdamW(learning, lr=rate, weight_decay=settings.weight_decay, fused=on_gpu, capturable=on_gpu)


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate, in its tensor if it has one."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def learning_rate(settings: FinetuneSettings, epoch: int) -> float:
    """Return the learning rate of an epoch, counted from 0."""
    if settings.schedule == "constant":
        return settings.learning_rate
    if settings.schedule == "cosine":
        return settings.learning_rate * (1 + math.cos(math.pi * epoch / settings.max_epochs)) / 2
    return float(settings.learning_rate * settings.gamma ** (epoch // settings.step_epochs))


def state_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return what an optimiser remembers, by the number of the parameter and a name, such as "3.momentum_buffer"."""
    return {
        f"{index}.{name}": value
        for index, state in optimiser.state_dict()["state"].items()
        for name, value in state.items()
        if isinstance(value, Tensor)
    }


def restore_tensors(optimiser: torch.optim.Optimizer, values: Mapping[str, Tensor]) -> None:
    """Bring values of `state_tensors` into what an optimiser remembers, in place.

    Of a parameter that has had no gradient so far, as in a block that a network skips at random, it remembers nothing;
    that is made here. What it remembers beyond these values has to be zero, which is as good as nothing.
    """
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    known = state_tensors(optimiser)
    for name, value in values.items():
        index, _, what = name.partition(".")
        parameter = parameters[int(index)]
        if name in known:
            known[name].copy_(value)
        else:
            optimiser.state[parameter][what] = value.detach().clone().to(parameter.device)
