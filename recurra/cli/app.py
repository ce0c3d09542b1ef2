"""The command `recurra`: its verbs, and how anything that goes wrong is told."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from recurra.cli.flags import with_flags
from recurra.cli.output import ReaderGone, standard_streams
from recurra.cli.usage import check_paths, usage_message
from recurra.errors import InputError, RecurraError
from recurra.stopping import Interrupted, stoppable, was_requested
from recurra.tasks import TASKS

HELP = """Model sequences with recurrent networks: train on files, then use what was trained.

```sh
recurra train lm plays.txt --out plays --max-minutes 5
recurra generate plays --prompt "ROMEO:"
recurra evaluate plays more-plays.txt
```

Results go to stdout, notices and progress to stderr. Files and pipes receive UTF-8 whatever the locale; a terminal
receives its own encoding, with escapes for characters that it lacks. PYTHONIOENCODING decides for both. A reader of
stdout that stops early, such as head, is no error.

Exit codes: 0 done, 1 failed, 2 wrong usage or input, 130 interrupted.
"""

app = App(
    name="recurra",
    help=HELP,
    help_format="markdown",
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,  # told by `main`, as everything else that goes wrong
)
# Verbs are imported when they are called: `recurra --help` need not wait for torch.
app.command("recurra.cli.train:app", name="train", help="Train a model on files.")
app.command("recurra.cli.evaluate:evaluate", name="evaluate", help="Measure how well a model does on files.")
app.command("recurra.cli.diagnose:diagnose", name="diagnose", help="Tell why a model learns over time, or does not.")
app.command("recurra.cli.info:info", name="info", help="Show what a model is and how it scored.")
app.command("recurra.cli.study:study", name="study", help="Rerun the classic experiments on gradients through time.")
app.command("recurra.cli.units:units", name="units", help="Colour a text by what any unit of a model does.")
app.command("recurra.cli.cells:cells", name="cells", help="List the recurrent cells.")
app.command("recurra.cli.tasks:tasks", name="tasks", help="List the tasks, and what works with a model of each.")
app.command("recurra.cli.bench:bench", name="bench", help="Measure how fast cells run, beside what else runs them.")
for _task in TASKS.values():
    for _verb in _task.verbs:
        app.command(_verb.function, name=_verb.name, help=_verb.help)

INTERRUPTED = 130
_OUT_OF_MEMORY = ("allocate memory", "not enough memory", "out of memory")


@stoppable
@standard_streams()
def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line, and exits: 0 done, 1 failed, 2 could not be used that way, 130 interrupted.

    What goes wrong is told in one line on stderr; with --debug the traceback comes too.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    try:
        _tell_in_full(arguments)
        check_paths(app, arguments)
        app(
            [argument for argument in arguments if argument != "--debug"],
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
        sys.stdout.flush()
    except ReaderGone:
        return  # whoever reads our output has enough of it, as `head` does: not an error
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            raise
        code, line = _told(error, arguments)
        # A name of a file may hold a newline, or codes that a terminal obeys.
        print("recurra:", re.sub(r"[\x00-\x1f\x7f]", lambda found: repr(found[0])[1:-1], line), file=sys.stderr)
        sys.exit(code)


def _tell_in_full(arguments: Sequence[str]) -> None:
    """Lets the verb that is called speak with its docstring, examples and all, not with its line in the list."""
    called = next((argument for argument in arguments if not argument.startswith("-")), "")
    if called in app and called != "train":  # whose own docstrings are those of its tasks
        app[called].help = None


def _told(error: BaseException, arguments: Sequence[str]) -> tuple[int, str]:
    """The exit code and the line for what went wrong."""
    if isinstance(error, Interrupted):
        return INTERRUPTED, str(error)
    # An import or a library that is cut off may end in an error of its own.
    if isinstance(error, KeyboardInterrupt) or (was_requested() and not isinstance(error, RecurraError)):
        return INTERRUPTED, "interrupted"
    if isinstance(error, InputError):
        return 2, with_flags(str(error), app, arguments)
    if isinstance(error, RecurraError):
        return 1, with_flags(str(error), app, arguments)
    if isinstance(error, CycloptsError):
        return 2, usage_message(error)
    if isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY):
        return 1, "out of memory: lower --batch-size, --update-every or --hidden-size"
    if isinstance(error, OSError) and error.strerror:  # of the system: a folder that nobody may read, a full disk
        return 1, f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    first = (str(error).splitlines() or [""])[0]
    return 1, f"{type(error).__name__}: {first} (an error of recurra itself: --debug shows where)"
