"""The weights of a network as one safetensors file with a checksum.

The format itself does not detect a changed number. The checksum of names, dtypes, shapes and values is in its metadata.
"""

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
        OSError: the disk is full or cannot be written; the old file remains complete.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in _tensors(network).items()}
    replace_file(path, save(tensors, metadata={"sha256": _digest(tensors)}))


def load_weights(network: nn.Module, path: Path) -> None:
    """Loads the file into the network.

    Raises:
        InputError: the file is missing, damaged or edited, or its tensors differ from those of the network; the message
            names the first difference.
    """
    tensors, checksum = _read(path)
    if checksum != _digest(tensors):
        raise InputError(f"{path}: its tensors do not match their checksum. Restore the file, or train again")
    parameters = _tensors(network)
    for name in sorted(tensors.keys() | parameters.keys()):
        saved, expected = (_describe(group.get(name)) for group in (tensors, parameters))
        if saved != expected:
            raise InputError(f"{path}: {name} is {saved}, but config.json describes {expected}. Restore both files")
    with torch.no_grad():
        for name, tensor in parameters.items():
            tensor.copy_(tensors[name])


def count_numbers(path: Path) -> int:
    """The number of elements of all tensors in the file.

    Raises:
        InputError: the file is missing or damaged.
    """
    tensors, _ = _read(path)
    return sum(tensor.numel() for tensor in tensors.values())


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _read(path: Path) -> tuple[dict[str, Tensor], str | None]:
    """The tensors of a file and the checksum in its metadata."""
    try:
        with safe_open(path, framework="pt") as file:
            names, metadata = file.keys(), file.metadata() or {}
            return {name: file.get_tensor(name) for name in names}, metadata.get("sha256")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file: {path.parent} is not a model, or is incomplete") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: damaged or cut short ({error}). Restore the file, or train again") from None


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _describe(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
