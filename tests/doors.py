"""The command line, run in this process as a person runs it."""

from recurra.cli.app import main


def run_command(capture, *arguments):
    """Exit code, stdout and stderr of `recurra` with these arguments; `capture` is capsys or capsysbinary."""
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    out, err = (
        text if isinstance(text, str) else text.decode("utf-8", "surrogateescape") for text in capture.readouterr()
    )
    return code, out, err
