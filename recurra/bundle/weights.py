"""The weights of a network as one safetensors file that knows whether it is whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from recurra.errors import InputError
from recurra.files import replace_file


def save_weights(network: nn.Module, path: Path) -> None:
    """Replaces the file with the network's parameters and buffers; a tensor with two names is saved once.

    Raises:
        OSError: the disk is full or refuses otherwise; the old file is whole.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in _tensors(network).items()}
    replace_file(path, save(tensors, metadata={"sha256": _digest(tensors)}))


def load_weights(network: nn.Module, path: Path) -> None:
    """Fills the network from the file.

    Raises:
        InputError: the file is missing, cut short or edited, or holds other tensors than the network, with the first
            difference.
    """
    tensors, stamp = _read(path)
    if stamp != _digest(tensors):
        raise InputError(f"{path}: its numbers are not those that were saved. Restore the file, or train again")
    wanted = _tensors(network)
    for name in sorted(tensors.keys() | wanted.keys()):
        found, expected = (_described(group.get(name)) for group in (tensors, wanted))
        if found != expected:
            raise InputError(f"{path}: {name} is {found}, but config.json describes {expected}. Restore both files")
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(tensors[name])


def count_numbers(path: Path) -> int:
    """How many numbers the file holds.

    Raises:
        InputError: the file is missing or cut short.
    """
    tensors, _ = _read(path)
    return sum(tensor.numel() for tensor in tensors.values())


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _read(path: Path) -> tuple[dict[str, Tensor], str | None]:
    try:
        with safe_open(path, framework="pt") as file:
            names, metadata = file.keys(), file.metadata() or {}
            return {name: file.get_tensor(name) for name in names}, metadata.get("sha256")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file: {path.parent} is not a model, or a part of it was lost") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: damaged or cut short ({error}). Restore the file, or train again") from None


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _described(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
