"""What torch.jit.script is answered: one line, where its compiler would print a page about Python it does not know."""

from __future__ import annotations

from typing import Any

from recurra.errors import InputError


class NotScriptable:
    """A module whose forward pass TorchScript's compiler does not read; traces of it work."""

    def __prepare_scriptable__(self) -> Any:
        """Called by torch.jit.script for a module and for all modules in it.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"{type(self).__name__}: torch.jit.script cannot compile a cell written in Python. "
            "Use torch.jit.trace, torch.export or torch.compile"
        )
