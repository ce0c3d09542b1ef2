"""Listens to a recording as if it were live: `python examples/listen.py MODEL FILE [SPEED]`.

MODEL is a folder of `recurra train transcriber`, FILE a recording of any format and rate. The samples arrive a tenth of
a second at a time, SPEED times as fast as they were spoken (1 if left out; 0 for no waiting). Each line shows the time,
the words that are settled with the times at which they were spoken, and the text that may still change.

Needs `pip install 'recurra[speech]'`.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import recurra
from recurra.data.audio import audio_blocks, audio_info

CHUNK_SECONDS = 0.1


def chunks(file: Path, rate: int, size: int) -> Iterator[np.ndarray]:
    """Yields the samples of a recording, (size,) float32, the last ones (n,), without having all in memory."""
    rest = np.zeros(0, np.float32)
    for block in audio_blocks(file, rate=rate):
        rest = np.concatenate([rest, block])
        while len(rest) >= size:
            yield rest[:size]
            rest = rest[size:]
    if len(rest):
        yield rest


def listen(model_folder: Path, file: Path, speed: float) -> str:
    """Prints what is recognised while the recording is read, and returns the text."""
    model = recurra.load(model_folder)
    rate = audio_info(file).rate
    stream = model.stream(rate=rate)
    began, busy, texts = time.perf_counter(), 0.0, list[str]()
    for number, samples in enumerate(chunks(file, rate, round(CHUNK_SECONDS * rate)), start=1):
        if speed:
            # A chunk is there once it has been spoken.
            time.sleep(max(0.0, number * CHUNK_SECONDS / speed - (time.perf_counter() - began)))
        started = time.perf_counter()
        partial = stream.accept(samples)
        busy += time.perf_counter() - started
        if partial.words or partial.pending:
            settled = "".join(f"{word.text} ({word.start:.2f} to {word.end:.2f} s) " for word in partial.words)
            print(f"{stream.seconds:7.2f} s  {settled}{'[' + partial.pending + ']' if partial.pending else ''}")
        texts += [word.text for word in partial.words]
    texts += [word.text for word in stream.finish()]
    print(f"{stream.seconds:7.2f} s  {' '.join(texts)}")
    share = busy / max(stream.seconds, 1e-9)
    print(f"real-time factor {share:.3f}: {busy:.2f} s of computation for {stream.seconds:.2f} s of sound")
    return " ".join(texts)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit(__doc__)
    listen(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) == 4 else 1.0)
