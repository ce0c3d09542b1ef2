"""A measurement in a process of its own: what is loaded and compiled already would hide what is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from recurra.errors import RecurraError


def in_fresh_process(module: str, **arguments: Any) -> dict[str, Any]:
    """What `measure(**arguments)` of a module returns, run in a new interpreter with this one's environment.

    Raises:
        RecurraError: it failed; the last line of its traceback is told.
    """
    code = f"import json, sys; from {module} import measure; print(json.dumps(measure(**json.loads(sys.argv[1]))))"
    command = [sys.executable, "-c", code, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RecurraError(f"{module} with {arguments} ended with exit code {done.returncode}: {last}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told
