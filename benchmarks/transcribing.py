"""A transcriber on single words: joined words, speakers that it never heard, and the speed of a stream.

Run:
    python benchmarks/transcribing.py join TEST.csv FOLDER      writes sentences of 3 to 7 recordings of a speaker
    python benchmarks/transcribing.py strangers TRAIN.csv TEST.csv FOLDER    writes a manifest set for each speaker
    python benchmarks/transcribing.py speed MODEL FILE… [--minutes 1]    on one thread, beside a 3 x 512 LSTM

`join` and `strangers` read the columns audio, text and speaker; without the last, the speaker is the second part of a
file's name (3_theo_12.wav). Train and score what they write with `recurra train transcriber` and `recurra evaluate`:

    recurra evaluate MODEL FOLDER/joined.csv
    recurra train transcriber FOLDER/ann/train.csv --valid FOLDER/ann/valid.csv --recipe recipes/fsdd.toml --out ann
    recurra evaluate ann FOLDER/ann/test.csv
"""

import csv
import resource
import sys
import time
from pathlib import Path

import numpy as np
import soundfile
import torch

import recurra
from recurra.data.audio.feature_statistics import FeatureStatistics
from recurra.tasks.recurrent_options import RecurrentOptions
from recurra.tasks.transcriber.model import Transcriber
from recurra.tasks.transcriber.network import TranscriberNetwork
from recurra.tasks.transcriber.options import NetworkOptions
from recurra.training.machine import sgemm_rate

# Gaps between the words, before the first and after the last, in seconds, and the signal-to-noise ratio, in dB.
_GAPS, _SNR = (0.05, 0.5), (15.0, 35.0)
_CHUNK_SECONDS = 0.1

Row = dict[str, str]


def read(manifest: Path) -> list[Row]:
    """Returns the rows of a manifest, with absolute paths and the speaker."""
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["audio"] = str((manifest.parent / row["audio"]).resolve())
        row.setdefault("speaker", Path(row["audio"]).stem.split("_")[1])
    return rows


def write(manifest: Path, rows: list[Row]) -> None:
    manifest.parent.mkdir(parents=True, exist_ok=True)
    with manifest.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["audio", "text", "speaker"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def join(test: Path, folder: Path) -> None:
    """Writes sentences of 3 to 7 recordings of one speaker, each recording once, with gaps and noise."""
    generator, joined = np.random.default_rng(0), list[Row]()
    rows = read(test)
    folder.mkdir(parents=True, exist_ok=True)
    for speaker in sorted({row["speaker"] for row in rows}):
        own = [row for row in rows if row["speaker"] == speaker]
        order = generator.permutation(len(own)).tolist()
        while order:
            count = int(generator.integers(3, 8))
            words, order = [own[number] for number in order[:count]], order[count:]
            samples, rate = sentence([Path(word["audio"]) for word in words], generator)
            name = f"{len(joined)}.wav"
            soundfile.write(folder / name, samples, rate)
            joined.append({"audio": name, "text": " ".join(word["text"] for word in words), "speaker": speaker})
    write(folder / "joined.csv", joined)
    print(f"{len(joined)} sentences, {len(rows)} words: {folder / 'joined.csv'}")


def sentence(files: list[Path], generator: np.random.Generator) -> tuple[np.ndarray, int]:
    """Returns the samples of recordings with gaps before, between and after them, in white noise, and their rate."""
    parts, rates = list[np.ndarray](), set[int]()
    for file in files:
        samples, rate = soundfile.read(file)
        rates.add(rate)
        parts += [np.zeros(int(generator.uniform(*_GAPS) * rate)), samples]
    [rate] = rates
    parts.append(np.zeros(int(generator.uniform(*_GAPS) * rate)))
    whole = np.concatenate(parts)
    power = np.mean(whole**2) * 10 ** (-generator.uniform(*_SNR) / 10)
    return whole + np.sqrt(power) * generator.standard_normal(len(whole)), rate


def strangers(train: Path, test: Path, folder: Path) -> None:
    """Writes for each speaker: training and validation data of the others, and all recordings of this one as test."""
    training, held = read(train), read(test)
    for speaker in sorted({row["speaker"] for row in training}):
        write(folder / speaker / "train.csv", [row for row in training if row["speaker"] != speaker])
        write(folder / speaker / "valid.csv", [row for row in held if row["speaker"] != speaker])
        write(folder / speaker / "test.csv", [row for row in training + held if row["speaker"] == speaker])
        print(folder / speaker)


def speed(model: Transcriber, files: list[Path], minutes: float) -> None:
    """Prints the time of a stream per second of sound, in chunks, and the memory as it grows."""
    recordings = [soundfile.read(file, dtype="float32") for file in files]
    rate = recordings[0][1]
    sound = np.concatenate([samples for samples, other in recordings if other == rate])
    generator = np.random.default_rng(0)
    stream, size = model.stream(rate=rate), int(_CHUNK_SECONDS * rate)
    chunks, words, busy, start = int(minutes * 60 / _CHUNK_SECONDS), 0, 0.0, 0
    for number in range(chunks):
        # From another place every two seconds, so that an hour is not one minute repeated.
        start = int(generator.integers(0, len(sound))) if number % 20 == 0 else start + size
        start %= max(1, len(sound) - size)
        began = time.perf_counter()
        words += len(stream.accept(sound[start : start + size]).words)
        busy += time.perf_counter() - began
        if number in (chunks // 10, chunks // 2, chunks - 1):
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            seconds = (number + 1) * _CHUNK_SECONDS
            print(f"  {seconds:7.0f} s of sound: {busy / seconds:.4f} s each, {words} words, {memory:.1f} MB at most")
    stream.finish()


def large(model: Transcriber) -> Transcriber:
    """Returns an untrained transcriber of 3 x 512 units with the alphabet and the features of another one."""
    options = NetworkOptions(
        recurrent=RecurrentOptions(cell="lstm", hidden_size=512, num_layers=3), reduction=model.options.reduction
    )
    torch.manual_seed(0)
    network = TranscriberNetwork(model.features.size, model.alphabet.size, options)
    statistics = FeatureStatistics(1000, np.full(model.features.width, 8.0), np.full(model.features.width, 30.0))
    return Transcriber(network.eval(), model.alphabet, model.features, statistics, options)


def main(arguments: list[str]) -> None:
    verb, *rest = arguments
    minutes = 1.0
    if "--minutes" in rest:
        place = rest.index("--minutes")
        minutes = float(rest[place + 1])
        del rest[place : place + 2]
    paths = [Path(argument) for argument in rest]
    if verb == "join":
        join(*paths)
    elif verb == "strangers":
        strangers(*paths)
    elif verb == "speed":
        torch.set_num_threads(1)
        model = recurra.load(paths[0])
        print(f"sgemm on one thread: {sgemm_rate():.0f} GFLOP/s")
        print(f"{paths[0]}:")
        speed(model, paths[1:], minutes)
        print("LSTM 3 x 512, untrained:")
        speed(large(model), paths[1:], min(minutes, 1.0))
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
