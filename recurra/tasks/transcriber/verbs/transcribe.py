"""`recurra transcribe DIR FILE…`: what is said in recordings, or in sound that arrives on stdin."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from recurra.cli.opening import open_model
from recurra.cli.options import whole, with_options
from recurra.cli.output import put
from recurra.errors import InputError, nearest
from recurra.tasks.transcriber.model import Transcriber
from recurra.tasks.transcriber.options import DecodingOptions
from recurra.tasks.transcriber.verbs.live import transcribe_live
from recurra.tasks.transcriber.verbs.subtitles import FORMATS

_STDIN = Path("-")


def _transcribe(
    model: Annotated[Path, Parameter(name="DIR")],
    files: Annotated[list[Path], Parameter(name="FILE", negative=(), allow_leading_hyphen=True)],
    /,
    *,
    to: str = "text",
    rate: Annotated[int | None, Parameter(converter=whole(optional=True))] = None,
    language_model: Path | None = None,
    cell: str | None = None,
    **options: Any,
) -> None:
    """Write what is said in recordings to stdout, one line per recording with --to text.

    Recordings of any length are read in constant memory. With - as FILE, raw sound is read from stdin (16-bit integers,
    little endian, one channel), and text is written as it is recognised: to a terminal the present line is rewritten
    until it is settled, to a pipe settled words are written.

    ```sh
    recurra transcribe digits call.wav
    recurra transcribe digits talk.flac --to srt > talk.srt
    recurra transcribe digits *.wav --to json
    arecord -q -t raw -f S16_LE -r 16000 | recurra transcribe digits - --rate 16000
    ```

    Parameters
    ----------
    model
        The folder of a trained transcriber.
    files
        Recordings: WAV, FLAC, OGG, MP3; .npy for a transcriber of features; - for raw sound on stdin.
    to
        text; json, one object per recording with the times and confidences of words; srt or vtt, subtitles of one
        recording.
    rate
        Samples per second of raw sound on stdin. Default: those of the training data.
    language_model
        Folder of a language model of `recurra train lm`, which ranks the hypotheses.
    cell
        module:Class, for a model that was trained with a user-defined cell.
    """
    for file in files:
        # A hyphen alone is stdin; cyclopts passes unknown options too.
        if str(file).startswith("-") and file != _STDIN:
            raise InputError(f"Unknown option: {file}. See recurra transcribe --help")
    if to not in FORMATS:
        raise InputError(f"there is no format {to!r}. {nearest(to, FORMATS)}")
    if to in ("srt", "vtt") and len(files) > 1:
        raise InputError(f"--to {to}: subtitles of one recording, but {len(files)} are named")
    if _STDIN in files and len(files) > 1:
        raise InputError("- is stdin, which cannot be mixed with files: name one of them")
    if rate is not None and _STDIN not in files:
        raise InputError("--rate is for raw sound on stdin: files know their own: leave it out")
    transcriber = open_model(model, cell, needs=Transcriber, does="transcribe")
    if language_model is not None:
        options["language_model"] = open_model(language_model, None)
    if files == [_STDIN]:
        if to not in ("text", "json"):
            raise InputError(f"--to {to}: sound on stdin is written as text or json")
        transcribe_live(transcriber, rate, to, options)
        return
    failed = 0
    for path in files:
        try:
            transcript = transcriber.transcribe(path, **options)
        except InputError as error:
            # The other recordings are transcribed all the same.
            if len(files) == 1:
                raise
            failed += 1
            print(f"recurra: {error}", file=sys.stderr)
            continue
        put(FORMATS[to](transcript, path), as_json=to == "json")
    if failed:
        raise InputError(f"{failed} of {len(files)} recordings could not be transcribed")


transcribe = with_options(_transcribe, {"decoding": DecodingOptions}, {})
