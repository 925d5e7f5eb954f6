"""CORnet Z, R, RT and S: networks of four areas, V1, V2, V4 and IT, and a decoder.

Written from the facts of the architecture (https://doi.org/10.1101/408385), not from its authors' code. The
names of the parameters are those of the published checkpoints. Each area ends in an identity called `output`,
so that the output of the area is a layer of its own. Untrained networks are drawn as their authors draw them:
R and RT as PyTorch does, Z and S as their functions say.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import cast

import torch
from torch import nn
from torch.nn import functional

AREAS = ("V1", "V2", "V4", "IT")
CHANNELS = (64, 128, 256, 512)
TIMES = 5  # steps of R and RT
TIMES_S = {"V2": 2, "V4": 4, "IT": 2}
GROUPS = 32  # of the group norms of R and RT
WIDENING = 4  # of the bottleneck of S


def cornet_z(num_classes: int = 1000) -> nn.Module:
    """Build CORnet-Z: an area is a convolution, a ReLU and a pooling; nothing recurs."""
    areas = [AreaZ(inputs, outputs, 7 if inputs == 3 else 3, 2 if inputs == 3 else 1) for inputs, outputs in _widths()]
    decoder = _decoder(num_classes, named_output=True)
    return _draw_as_z(nn.Sequential(OrderedDict([*zip(AREAS, areas, strict=True), ("decoder", decoder)])))


def cornet_r(num_classes: int = 1000, times: int = TIMES) -> nn.Module:
    """Build CORnet-R: an area adds its last output to its input, and sees the area below at the same step."""
    return RecurrentNet(num_classes, times, delayed=False)


def cornet_rt(num_classes: int = 1000, times: int = TIMES) -> nn.Module:
    """Build CORnet-RT: as CORnet-R, but an area sees the area below one step later."""
    return RecurrentNet(num_classes, times, delayed=True)


def cornet_s(num_classes: int = 1000) -> nn.Module:
    """Build CORnet-S: V2, V4 and IT run a bottleneck with a skip several times, each with its own norms."""
    areas: list[tuple[str, nn.Module]] = [("V1", _v1_of_s())]
    for area, (inputs, outputs) in zip(AREAS[1:], _widths()[1:], strict=True):
        areas.append((area, AreaS(inputs, outputs, TIMES_S[area])))
    decoder = _decoder(num_classes, named_output=True)
    return _draw_as_s(nn.Sequential(OrderedDict([*areas, ("decoder", decoder)])))


CONSTRUCTORS: dict[str, Callable[..., nn.Module]] = {
    "cornet_z": cornet_z,
    "cornet_r": cornet_r,
    "cornet_rt": cornet_rt,
    "cornet_s": cornet_s,
}


class AreaZ(nn.Sequential):
    """An area of CORnet-Z."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__(
            OrderedDict[str, nn.Module](
                conv=nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2),
                nonlin=nn.ReLU(inplace=True),
                pool=nn.MaxPool2d(3, stride=2, padding=1),
                output=nn.Identity(),
            )
        )


class AreaR(nn.Module):
    """An area of CORnet-R and RT.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel, stride : int
        Of the convolution of the input.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_input = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)
        self.norm_input = nn.GroupNorm(GROUPS, outputs)
        self.nonlin_input = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(GROUPS, outputs)
        self.nonlin1 = nn.ReLU(inplace=True)
        self.output = nn.Identity()

    def forward(self, driven: torch.Tensor, state: torch.Tensor | None) -> torch.Tensor:
        """Run one step.

        Parameters
        ----------
        driven : tensor [image, channel, height, width]
            Output of `drive`, or zeros of its shape.
        state : tensor [image, channel, height, width] or None
            Output of this area at the last step.

        Returns
        -------
        tensor [image, channel, height, width]
        """
        x = driven if state is None else driven + state
        output: torch.Tensor = self.output(self.nonlin1(self.norm1(self.conv1(x))))
        return output

    def drive(self, below: torch.Tensor) -> torch.Tensor:
        """Run the input stage on the output of the area below [image, channel, height, width]."""
        driven: torch.Tensor = self.nonlin_input(self.norm_input(self.conv_input(below)))
        return driven

    def silence(self, shape: torch.Size, like: torch.Tensor) -> torch.Tensor:
        """Return zeros in place of `drive`, for an area below of a shape [image, channel, height, width].

        They are zeros after the norm and its ReLU, which would add the norm's shift to them.
        """
        step = self.conv_input.stride[0]
        height, width = ((side - 1) // step + 1 for side in shape[2:])
        return like.new_zeros(shape[0], self.conv_input.out_channels, height, width)


class RecurrentNet(nn.Module):
    """CORnet-R, or CORnet-RT if `delayed`.

    At the first step V1 alone sees something: the other areas run on zeros in place of their whole input stage.

    Parameters
    ----------
    num_classes : int
        Outputs.
    times : int
        Steps.
    delayed : bool
        An area sees what the area below gave at the step before, in place of the same step.
    """

    def __init__(self, num_classes: int, times: int, delayed: bool) -> None:
        super().__init__()
        if times < 1:
            raise ValueError(f"times must be 1 or more, not {times}")
        self.times = times
        self.delayed = delayed
        for area, (inputs, outputs) in zip(AREAS, _widths(), strict=True):
            kernel, stride = (7, 4) if area == "V1" else (3, 2)
            self.add_module(area, AreaR(inputs, outputs, kernel, stride))
        self.decoder = _decoder(num_classes, named_output=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the scores [image, class] after the last step, for images [image, 3, height, width]."""
        outputs = self._first_step(images)
        for _ in range(1, self.times):
            outputs = self._step(images, outputs)
        scores: torch.Tensor = self.decoder(outputs["IT"])
        return scores

    def _first_step(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        v1 = self._area("V1")
        outputs = {"V1": v1(v1.drive(images), None)}
        below = outputs["V1"]
        for name in AREAS[1:]:
            area = self._area(name)
            below = outputs[name] = area(area.silence(below.shape, below), None)
        return outputs

    def _step(self, images: torch.Tensor, before: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        outputs: dict[str, torch.Tensor] = {}
        below = images
        for name in AREAS:
            area = self._area(name)
            outputs[name] = area(area.drive(below), before[name])
            below = before[name] if self.delayed else outputs[name]
        return outputs

    def _area(self, name: str) -> AreaR:
        return cast(AreaR, self.get_submodule(name))


class TurningConv2d(nn.Conv2d):
    """A convolution whose stride is said at each call: CORnet-S shrinks its input at the first step alone."""

    def forward(self, x: torch.Tensor, stride: int) -> torch.Tensor:  # type: ignore[override]
        """Convolve [image, channel, height, width]."""
        return functional.conv2d(x, self.weight, None, stride, self.padding)


class AreaS(nn.Module):
    """V2, V4 or IT of CORnet-S.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    times : int
        Steps.
    """

    def __init__(self, inputs: int, outputs: int, times: int) -> None:
        super().__init__()
        wide = WIDENING * outputs
        self.times = times
        self.conv_input = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.skip = nn.Conv2d(outputs, outputs, 1, stride=2, bias=False)
        self.norm_skip = nn.BatchNorm2d(outputs)
        self.conv1 = nn.Conv2d(outputs, wide, 1, bias=False)
        self.nonlin1 = nn.ReLU(inplace=True)
        self.conv2 = TurningConv2d(wide, wide, 3, padding=1, bias=False)
        self.nonlin2 = nn.ReLU(inplace=True)
        self.conv3 = nn.Conv2d(wide, outputs, 1, bias=False)
        self.nonlin3 = nn.ReLU(inplace=True)
        self.output = nn.Identity()
        for step in range(times):
            for number, channels in ((1, wide), (2, wide), (3, outputs)):
                self.add_module(f"norm{number}_{step}", nn.BatchNorm2d(channels))

    def forward(self, below: torch.Tensor) -> torch.Tensor:
        """Run all steps on the output of the area below [image, channel, height, width]."""
        x = self.conv_input(below)
        for step in range(self.times):
            norm1, norm2, norm3 = (self.get_submodule(f"norm{number}_{step}") for number in (1, 2, 3))
            skip = self.norm_skip(self.skip(x)) if step == 0 else x
            x = self.nonlin1(norm1(self.conv1(x)))
            x = self.nonlin2(norm2(self.conv2(x, 2 if step == 0 else 1)))
            x = self.nonlin3(norm3(self.conv3(x)) + skip)
        output: torch.Tensor = self.output(x)
        return output


def _widths() -> list[tuple[int, int]]:
    return list(zip((3, *CHANNELS[:-1]), CHANNELS, strict=True))


def _v1_of_s() -> nn.Sequential:
    inputs, outputs = _widths()[0]
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv1=nn.Conv2d(inputs, outputs, 7, stride=2, padding=3, bias=False),
            norm1=nn.BatchNorm2d(outputs),
            nonlin1=nn.ReLU(inplace=True),
            pool=nn.MaxPool2d(3, stride=2, padding=1),
            conv2=nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            norm2=nn.BatchNorm2d(outputs),
            nonlin2=nn.ReLU(inplace=True),
            output=nn.Identity(),
        )
    )


def _decoder(num_classes: int, named_output: bool) -> nn.Sequential:
    parts = OrderedDict[str, nn.Module](
        avgpool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        linear=nn.Linear(CHANNELS[-1], num_classes),
    )
    if named_output:
        parts["output"] = nn.Identity()
    return nn.Sequential(parts)


def _draw_as_z(network: nn.Module) -> nn.Module:
    """Draw convolutions and the decoder uniformly, by inputs and outputs (Glorot and Bengio 2010); no biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(cast(torch.Tensor, module.bias))
    return network


def _draw_as_s(network: nn.Module) -> nn.Module:
    """Draw convolutions normally, by their outputs (https://arxiv.org/abs/1502.01852); the decoder as PyTorch does."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network
