"""Fine-tuning against a loop of torchvision's transforms, PyTorch's DataLoader, optimiser and scheduler.

The loop is written from the paper's text and calls nothing of ours. It is given, as data, the weights to begin with,
the order of the images and the place and side of each crop.
"""

import copy
from collections import OrderedDict
from functools import partial

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from scipy.stats import spearmanr
from small_training import CPU, PREPROCESSING, SIZE, STORED, Kept, divided, planted
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms import functional

from layerwise.finetuning import FinetuneSettings, fine_tune, make_fold
from layerwise.finetuning.crops import draw_crops
from layerwise.finetuning.draws import order_images
from layerwise.finetuning.networks import replace_by_one_unit

EPOCHS, BATCH = 2, 8
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def shallow():
    """Few layers, in which a difference of inputs in the seventh place does not grow as it does in a ResNet."""
    layers = nn.Conv2d(3, 8, 3, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(OrderedDict(body=nn.Sequential(*layers), fc=nn.Linear(8, 10)))


NETWORKS = {"resize-crop": partial(torchvision.models.resnet18, weights=None), "random-resized-crop": shallow}


class Photographs(Dataset):
    """Pairs of an image, transformed, and its score."""

    def __init__(self, images, scores, cut):
        self.images, self.scores, self.cut = images, scores, cut
        self.to_tensor, self.normalise = transforms.ToTensor(), transforms.Normalize(MEAN, STD)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        picture = self.to_tensor(Image.fromarray(self.images[index]))
        return self.normalise(self.cut(index, picture)), np.float32(self.scores[index])


def papers_loop(network, images, scores, train, validation, orders, crops, kind):
    """Losses of each epoch, rho of the validation images, and the network after its best epoch."""
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, step_size=1, gamma=0.1)
    centre = transforms.CenterCrop(SIZE)
    watched = Photographs(images[validation], scores[validation], lambda _, picture: centre(picture))
    losses, rhos, best = [], [], None
    for epoch in range(EPOCHS):

        def cut(index, picture, epoch=epoch):
            top, left, height, width, flip = crops[epoch][index]
            if kind == "random-resized-crop":
                picture = functional.resized_crop(picture, top, left, height, width, [SIZE, SIZE], antialias=True)
            else:
                picture = functional.crop(picture, top, left, SIZE, SIZE)
            return functional.hflip(picture) if flip else picture

        network.train()
        loader = DataLoader(Photographs(images, scores, cut), BATCH, sampler=orders[epoch], drop_last=True)
        of_epoch = []
        for inputs, targets in loader:
            loss = nn.functional.mse_loss(network(inputs).squeeze(1), targets)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            of_epoch.append(loss.item())
        schedule.step()
        network.eval()
        with torch.no_grad():
            predicted = torch.cat([network(inputs).squeeze(1) for inputs, _ in DataLoader(watched, BATCH)])
        losses.append(np.mean(of_epoch))
        rhos.append(spearmanr(scores[validation], predicted.numpy()).statistic)
        if rhos[-1] == max(rhos):
            best = copy.deepcopy(network.state_dict())
    return losses, rhos, best


@pytest.mark.parametrize("kind", NETWORKS)
def test_two_epochs_give_the_losses_and_weights_of_the_papers_loop(rng, kind):
    images, scores = planted(rng, 84)
    train, validation, test = divided(84, rng)
    settings = FinetuneSettings(batch_size=BATCH, max_epochs=EPOCHS, step_epochs=1, crop=kind, scale=(0.5, 1.0))
    fold = make_fold(0, scores, train, validation, test, settings)

    def network():
        torch.manual_seed(3)
        return NETWORKS[kind]()

    with torch.random.fork_rng():
        start = replace_by_one_unit(network(), "fc", settings, float(scores[train].mean()))
        orders = [order_images(settings.seed, epoch, train) for epoch in range(EPOCHS)]
        crops = []
        for epoch in range(EPOCHS):
            drawn = draw_crops(settings, epoch, train, STORED, STORED, SIZE)
            places = zip(drawn.top, drawn.left, drawn.height, drawn.width, drawn.flip, strict=True)
            crops.append(dict(zip(train.tolist(), [[int(value) for value in place] for place in places], strict=True)))
        losses, rhos, best = papers_loop(start, images, scores, train, validation, orders, crops, kind)
        ours = fine_tune(network(), "fc", Kept(images), PREPROCESSING, fold, settings, CPU)
    assert {place[4] for place in crops[0].values()} == {0, 1} and len({place[0] for place in crops[0].values()}) > 2
    assert [epoch.learning_rate for epoch in ours.history] == pytest.approx([1e-3, 1e-4])
    np.testing.assert_allclose([epoch.training_loss for epoch in ours.history], losses, rtol=1e-4)
    np.testing.assert_allclose([epoch.rho for epoch in ours.history], rhos, atol=0.02)
    if ours.best_epoch == 1 + int(np.argmax(rhos)):  # two epochs that are equally good may change places
        for name, tensor in best.items():
            torch.testing.assert_close(ours.weights[name], tensor, rtol=1e-4, atol=1e-5)
    else:
        assert abs(rhos[0] - rhos[1]) < 0.02
