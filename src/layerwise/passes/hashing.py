"""What a network computes with, in short."""

import hashlib

import torch
from torch import nn


def hash_values(network: nn.Module) -> str:
    """Hash the parameters and buffers of a network as they are, wherever they came from."""
    digest = hashlib.sha256()
    for name, tensor in sorted([*network.named_parameters(), *network.named_buffers()]):
        values = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(f"{name} {values.dtype} {tuple(tensor.shape)}".encode())
        digest.update(values.view(torch.uint8).numpy().data)
    return digest.hexdigest()
