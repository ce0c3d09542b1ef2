"""`python -m recurra` and the command `recurra`: Ctrl-C ends it in one line from its first moment on."""

import _signal  # type: ignore[import-not-found]  # signal itself imports enum, which takes longer than all that is here
import os


def _quit(*_: object) -> None:
    """Takes a signal while nothing has begun that would have to be cleaned up."""
    os.write(2, b"recurra: interrupted\n")
    os._exit(130)


if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _quit)

from recurra.cli.app import main  # noqa: E402  # the imports of the command line alone take a part of a second

if __name__ == "__main__":
    main()
