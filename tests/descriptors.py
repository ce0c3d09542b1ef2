"""The command line with real files, pipes and terminals as its standard streams, in a fork of this process."""

import contextlib
import gc
import io
import os
import sys
import tempfile
import traceback
from pathlib import Path

from recurra.cli.app import main

CLOSED = object()


def run_on(stdout, *arguments, stdin=os.devnull, stderr=None, encoding="utf-8", io_encoding=None):
    """Runs a command as a new process would, but without its three seconds of imports.

    Args:
        stdout: a descriptor, a path to write to, or CLOSED.
        arguments: of the command.
        stdin: a path, a descriptor, or CLOSED.
        stderr: a descriptor, a path, or CLOSED; None to return what is written there.
        encoding: what Python would have chosen for the streams, by the locale.
        io_encoding: the variable PYTHONIOENCODING.

    Returns:
        Exit code and stderr. What Python would complain of at its end is in stderr too.
    """
    with tempfile.TemporaryFile() as seen:
        child = _fork(stdin, stdout, seen.fileno() if stderr is None else stderr, encoding, io_encoding, arguments)
        return _finish(child, seen)


def read_terminal(*arguments, encoding):
    """What a terminal shows of a command, with the exit code and stderr."""
    controller, terminal = os.openpty()
    with tempfile.TemporaryFile() as seen:
        child = _fork(os.devnull, terminal, seen.fileno(), encoding, None, arguments)
        os.close(terminal)
        shown = b""
        # Read while the command runs: a terminal holds some thousand bytes only.
        with contextlib.suppress(OSError):  # nobody has the terminal open any more, and all of it was read
            while piece := os.read(controller, 1 << 16):
                shown += piece
        os.close(controller)
        code, err = _finish(child, seen)
    return code, shown.replace(b"\r\n", b"\n"), err


def _fork(stdin, stdout, stderr, encoding, io_encoding, arguments):
    child = os.fork()
    if child == 0:
        _become(stdin, stdout, stderr, encoding, io_encoding)
        _run_and_leave([str(argument) for argument in arguments])
    return child


def _finish(child, seen):
    _, status = os.waitpid(child, 0)
    seen.seek(0)
    return os.waitstatus_to_exitcode(status), seen.read().decode(errors="backslashreplace")


def _become(stdin, stdout, stderr, encoding, io_encoding):
    """Puts the streams in place, as Python does when it starts."""
    modes = (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT)
    opened = [
        os.open(given, mode, 0o600) if isinstance(given, str | Path) else given
        for given, mode in zip((stdin, stdout, stderr), modes, strict=True)
    ]
    for number, descriptor in enumerate(opened):
        os.close(number) if descriptor is CLOSED else os.dup2(descriptor, number)
    os.environ.pop("PYTHONIOENCODING", None)
    if io_encoding is not None:
        os.environ["PYTHONIOENCODING"] = io_encoding
    encoding = (io_encoding or "").partition(":")[0] or encoding

    def stream(number, mode, errors):
        if opened[number] is CLOSED:
            return None
        return io.TextIOWrapper(open(number, mode, closefd=False), encoding, errors)

    sys.stdin, sys.stdout, sys.stderr = (
        stream(0, "rb", "strict"),
        stream(1, "wb", "strict"),
        stream(2, "wb", "backslashreplace"),
    )


def _run_and_leave(arguments):
    """Runs the command, then what the end of the interpreter does with the streams."""
    code = 0
    try:
        main(arguments)
        gc.collect()
        if sys.stdout is not None:
            sys.stdout.flush()
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        code = 99
        if sys.stderr is not None:
            traceback.print_exc()
    finally:
        try:
            if sys.stderr is not None:
                sys.stderr.flush()
        finally:
            os._exit(code)
