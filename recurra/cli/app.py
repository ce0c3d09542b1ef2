"""The command `recurra`: its subcommands, and how errors are reported."""

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

HELP = """Train recurrent networks on sequences in files, and use the trained models.

```sh
recurra train lm plays.txt --out plays --max-minutes 5
recurra generate plays --prompt "ROMEO:"
recurra evaluate plays more-plays.txt
```

Results are written to stdout, notices and progress to stderr. Files and pipes receive UTF-8, whatever the locale; a
terminal receives its own encoding, with escapes for characters that it lacks. PYTHONIOENCODING overrides both. It is
not an error if the reader of stdout, such as head, stops early.

Exit codes: 0 success, 1 failure, 2 wrong usage or input, 130 interrupted.
"""

app = App(
    name="recurra",
    help=HELP,
    help_format="markdown",
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,  # `main` reports it, as it does every other error
)
# Commands are imported when they are called, so that `recurra --help` does not wait for torch.
app.command("recurra.cli.train:app", name="train", help="Train a model on files.")
app.command("recurra.cli.evaluate:evaluate", name="evaluate", help="Evaluate a model on files.")
app.command("recurra.cli.diagnose:diagnose", name="diagnose", help="Diagnose gradients, gates and context of a model.")
app.command("recurra.cli.info:info", name="info", help="Show the configuration, size and scores of a model.")
app.command("recurra.cli.study:study", name="study", help="Run the classic experiments on gradients through time.")
app.command("recurra.cli.units:units", name="units", help="Colour a text by the activations of a model's hidden units.")
app.command("recurra.cli.cells:cells", name="cells", help="List the recurrent cells.")
app.command("recurra.cli.tasks:tasks", name="tasks", help="List the tasks and the commands for their models.")
app.command("recurra.cli.bench:bench", name="bench", help="Compare the speed of cells with other implementations.")
for _task in TASKS.values():
    for _verb in _task.verbs:
        app.command(_verb.function, name=_verb.name, help=_verb.help)

INTERRUPTED = 130
_OUT_OF_MEMORY = ("allocate memory", "not enough memory", "out of memory")


@stoppable
@standard_streams()
def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits: 0 success, 1 failure, 2 wrong usage or input, 130 interrupted.

    An error is reported in one line on stderr; with --debug also by its traceback.

    Args:
        arguments: the arguments of the command line; None for those of the process.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    try:
        _use_docstring_as_help(arguments)
        check_paths(app, arguments)
        app(
            [argument for argument in arguments if argument != "--debug"],
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
        sys.stdout.flush()
    except ReaderGone:
        return  # the reader of stdout, such as `head`, needs no more output: not an error
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            raise
        code, line = _exit_code_and_message(error, arguments)
        # Notes list the places of a problem that the message sums up.
        for text in (*getattr(error, "__notes__", ()), line):
            # A file name may contain a newline, or escape codes that would control the terminal.
            print("recurra:", re.sub(r"[\x00-\x1f\x7f]", lambda control: repr(control[0])[1:-1], text), file=sys.stderr)
        sys.exit(code)


def _use_docstring_as_help(arguments: Sequence[str]) -> None:
    """Makes the docstring of the called command its help page, instead of its line in the list of commands."""
    name = next((argument for argument in arguments if not argument.startswith("-")), "")
    # `train` is a list of commands itself, one per task; their help pages are their docstrings already.
    if name in app and name != "train":
        app[name].help = None


def _exit_code_and_message(error: BaseException, arguments: Sequence[str]) -> tuple[int, str]:
    """The exit code and the message for an error."""
    if isinstance(error, Interrupted):
        return INTERRUPTED, str(error)
    # A library that is interrupted, for example while it is imported, may raise an error of another type.
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
    if isinstance(error, OSError) and error.strerror:  # of the system: missing permission, a full disk
        return 1, f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    first = (str(error).splitlines() or [""])[0]
    return 1, f"{type(error).__name__}: {first} (internal error of recurra; --debug prints the traceback)"
