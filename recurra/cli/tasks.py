"""`recurra tasks`: the table of tasks."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter


def tasks(*, markdown: Annotated[bool, Parameter(negative=())] = False) -> None:
    """List the tasks, and the commands that accept their models.

    ```sh
    recurra tasks
    ```

    Parameters
    ----------
    markdown
        Print the page docs/tasks.md.
    """
    from recurra.tasks import TASKS
    from recurra.tasks.document import commands, page, summary

    if markdown:
        print(page(), end="")
        return
    for task in TASKS.values():
        print(f"{task.name:12} {summary(task)}")
        print(f"{'':12} recurra {', '.join(commands(task))}")
