"""Crops of decoded images on the device, a whole batch at once, as a network expects them."""

import torch
from torch import Tensor

from layerwise.finetuning.crops import Crops
from layerwise.interfaces import Preprocessing


class Augmentation:
    """Crops, mirrors and normalises images, each in its own way.

    Constants lie on the device from the start: bringing them there for each batch would make the GPU wait.

    Parameters
    ----------
    preprocessing : Preprocessing
        Of the network.
    device : torch.device
        Where the pixels are.
    """

    def __init__(self, preprocessing: Preprocessing, device: torch.device) -> None:
        self.size, self._device = preprocessing.size, device
        self._divisor, self._reverse = 255 / preprocessing.maximum, preprocessing.channels == "BGR"
        self._mean, self._std = (
            torch.tensor(values, dtype=torch.float32, device=device).view(3, 1, 1)
            for values in (preprocessing.mean, preprocessing.std)
        )
        self._steps = torch.arange(self.size, device=device)

    def place(self, crops: Crops) -> Tensor:
        """Bring crops to the device: int64 [5, image], of which batches are slices."""
        parts = (crops.top, crops.left, crops.height, crops.width, crops.flip)
        return torch.stack([torch.from_numpy(part).to(torch.int64) for part in parts]).to(self._device)

    def crop(self, pixels: Tensor, rows: Tensor, crops: Tensor) -> Tensor:
        """Cut squares of the input's size.

        Parameters
        ----------
        pixels : uint8 Tensor [stored image, height, width, 3]
            RGB.
        rows : int64 Tensor [image]
            Which of them are wanted.
        crops : int64 Tensor [5, image]
            From `place`; height and width are the input's.

        Returns
        -------
        float32 Tensor [image, 3, size, size]
            Its memory is in the order of channels_last.
        """
        top, left, _, _, flip = crops[:, :, None]
        down = top + self._steps
        across = left + torch.where(flip > 0, self.size - 1 - self._steps, self._steps)
        cut = pixels[rows[:, None, None], down[:, :, None], across[:, None, :]]
        return self._normalise(cut.permute(0, 3, 1, 2).to(torch.float32))

    def resize_crop(self, pixels: Tensor, rows: Tensor, crops: Tensor) -> Tensor:
        """Cut rectangles and resize them to the input's size, bilinearly and with antialiasing, as torchvision does.

        Values between two levels are kept, where torchvision's way for uint8 pixels would round them.

        Parameters and the result are those of `crop`, with rectangles of any size.
        """
        top, left, tall, wide, flip = crops
        images = pixels[rows].permute(0, 3, 1, 2).to(torch.float32)
        down = resize_weights(top, tall, images.shape[2], self.size)
        across = resize_weights(left, wide, images.shape[3], self.size)
        across = torch.where(flip[:, None, None] > 0, across.flip(1), across)
        resized = down[:, None] @ (images @ across.mT[:, None])
        return self._normalise(resized.contiguous(memory_format=torch.channels_last))

    def _normalise(self, planes: Tensor) -> Tensor:
        """Do what `models.normalise` does, after the crop and without a wait."""
        if self._reverse:
            planes = planes.flip(1)
        return planes.div_(self._divisor).sub_(self._mean).div_(self._std)


def resize_weights(start: Tensor, length: Tensor, available: int, size: int) -> Tensor:
    """Return the matrices that resize a stretch of pixels, as PyTorch's bilinear filter with antialiasing.

    Parameters
    ----------
    start, length : int64 Tensor [image]
        First pixel and number of pixels of each stretch.
    available : int
        Pixels of an image.
    size : int
        Pixels wanted.

    Returns
    -------
    float32 Tensor [image, size, available]
        Each row sums to 1.
    """
    scale = (length.double() / size)[:, None, None]
    reach = scale.clamp(min=1)
    wanted = torch.arange(size, device=start.device)[:, None]
    given = torch.arange(available, device=start.device) - start[:, None, None]
    centre = scale * (wanted + 0.5)
    first = (centre - reach + 0.5).floor().clamp(min=0)
    last = torch.minimum((centre + reach + 0.5).floor(), length[:, None, None].double())
    weights = (1 - ((given - centre + 0.5) / reach).abs()).clamp(min=0)
    weights = torch.where((given >= first) & (given < last), weights, 0)
    return (weights / weights.sum(-1, keepdim=True)).to(torch.float32)
