"""A one-line error for torch.jit.script, whose compiler otherwise prints a page about unsupported Python."""

from __future__ import annotations

from typing import Any

from recurra.errors import InputError


class NotScriptable:
    """A module whose `forward` TorchScript cannot compile; tracing works."""

    def __prepare_scriptable__(self) -> Any:
        """Called by torch.jit.script for a module and for all modules in it.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"{type(self).__name__}: torch.jit.script cannot compile a cell written in Python. "
            "Use torch.jit.trace, torch.export or torch.compile"
        )
