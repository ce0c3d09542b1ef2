"""A measurement in a new process, where nothing is imported or compiled yet."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from recurra.errors import RecurraError


def in_fresh_process(module: str, **arguments: Any) -> dict[str, Any]:
    """The result of `measure(**arguments)` of a module, run in a new interpreter with the same environment.

    Raises:
        RecurraError: it failed; the message has the last line of its traceback.
    """
    code = f"import json, sys; from {module} import measure; print(json.dumps(measure(**json.loads(sys.argv[1]))))"
    command = [sys.executable, "-c", code, json.dumps(arguments)]
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    if completed.returncode:
        last = (completed.stderr.strip().splitlines() or ["no message"])[-1]
        raise RecurraError(f"{module} with {arguments} ended with exit code {completed.returncode}: {last}")
    result: dict[str, Any] = json.loads(completed.stdout.splitlines()[-1])
    return result
