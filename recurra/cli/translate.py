"""`recurra translate DIR [FILE]`: a line in, a line out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from cyclopts import Parameter

from recurra.cli.attention_plot import AttentionPlot
from recurra.cli.opening import open_model
from recurra.cli.options import whole, with_options
from recurra.cli.seeds import choose_seed
from recurra.cli.translations import forced_lines, translated_lines
from recurra.data.lines import open_bytes, read_lines
from recurra.decoding import BeamOptions, SamplingOptions
from recurra.errors import InputError
from recurra.tasks.fields import field_names


def _translate(
    model: Annotated[Path, Parameter(name="DIR")],
    file: Annotated[Path | None, Parameter(name="FILE")] = None,
    /,
    *,
    scores: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    forced: Path | None = None,
    sample: Annotated[bool, Parameter(negative=())] = False,
    seed: Annotated[int | None, Parameter(converter=whole(optional=True))] = None,
    attention_plot: Path | None = None,
    cell: str | None = None,
    **options: Any,
) -> None:
    """Translate the lines of a file, or of stdin, with a translator: a line in, a line out, in order.

    Files of any size: some thousand lines are held at once. An empty line is answered by an empty line, a typed one at
    once. With --nbest N (2 or more), each line gives its N best, best first, a line each: the number of the line, the
    score, the text, apart by tabs.

    ```sh
    recurra translate german-english test.de > test.out
    echo "Ein Hund läuft ." | recurra translate german-english --beam 10 --nbest 3
    recurra translate german-english test.de --forced test.en
    recurra translate german-english test.de --attention-plot first-line.png
    ```

    Parameters
    ----------
    model
        The folder of a trained translator.
    file
        Sources, UTF-8, one a line; stdin where it is left out.
    scores
        Put before each text what it was ranked by: log p in nats after the penalties.
    as_json
        Print a JSON object a line: its number, its source, its outputs with score and log-probability.
    forced
        A file of targets, line by line: print log p of each in nats, its end counted, in place of translating.
    sample
        Draw a translation from the model's distribution, in place of the most probable.
    seed
        For --sample: the same seed draws the same translations. Default: another one each time, told on stderr.
    attention_plot
        A picture (.png, .svg or .pdf) of where the model looked while it wrote the first line that is not empty.
    cell
        module:Class, for a model that was trained with a cell of your own.
    """
    chosen = _chosen(options, forced, sample, seed, scores)
    translator = open_model(model, cell, task="translator", does="translate")
    plot = None if attention_plot is None else AttentionPlot(attention_plot, translator, model)
    with _opened(file) as (source, name):
        told = _told_of_unknown(read_lines(source, name), translator)
        if forced is not None:
            written = forced_lines(translator, told, name, forced, as_json=as_json, plot=plot)
        else:
            # Who types wants an answer a line, not one a window.
            at_once = file is None and sys.stdin.isatty()
            written = translated_lines(
                chosen.outputs(translator, told, at_once=at_once), scores=scores, as_json=as_json, plot=plot
            )
        for line in written:
            _put(line)
    if plot is not None:
        plot.close()


@dataclass(frozen=True)
class _Chosen:
    """How targets are found."""

    search: BeamOptions
    sampling: SamplingOptions | None
    """In place of a search, where it is not None."""
    seed: int = 0

    def outputs(self, translator: Any, lines: Iterable[Any], *, at_once: bool) -> Iterator[tuple[str, list[Any]]]:
        """Each line with its targets."""
        held: list[str] = []

        def sources() -> Iterator[str]:
            for line in lines:
                held.append(line.text)
                yield line.text

        for found in self._found(translator, sources(), at_once):
            yield held.pop(0), found

    def _found(self, translator: Any, sources: Iterator[str], at_once: bool) -> Iterator[list[Any]]:
        window = {"window": 1} if at_once else {}
        if self.sampling is None:
            yield from translator.outputs(sources, self.search, **window)
        else:
            for drawn in translator.sample(sources, self.sampling, seed=self.seed, **window):
                yield [drawn]


def _chosen(options: dict[str, Any], forced: Path | None, sample: bool, seed: int | None, scores: bool) -> _Chosen:
    """What the options say; refuses what would have no effect."""
    searching = {name: value for name, value in options.items() if name in field_names(BeamOptions)}
    drawing = {name: value for name, value in options.items() if name not in searching}
    if forced is not None and (options or sample or scores or seed is not None):
        raise InputError("--forced looks for no translations: leave out the options of searching and drawing, --scores")
    if not sample and (drawing or seed is not None):
        first = next(iter(drawing), "seed")
        raise InputError(f"--{first.replace('_', '-')} is for drawn translations: add --sample, or leave it out")
    if sample and searching:
        first = next(iter(searching))
        raise InputError(f"--{first.replace('_', '-')} is for a search, but --sample draws: leave one out")
    if sample:
        sampling = SamplingOptions(**drawing)
        return _Chosen(BeamOptions(), sampling, choose_seed(seed, "these translations", idle=sampling.greedy))
    return _Chosen(BeamOptions(**searching), None)


def _told_of_unknown(lines: Iterable[Any], translator: Any) -> Iterator[Any]:
    """The lines; the first with symbols that training never had is told of."""
    told = False
    for line in lines:
        if not told:
            unknown = list(dict.fromkeys(translator.vocabulary.source.missing(line.text)))
            if unknown:
                shown = ", ".join(map(repr, unknown[:5])) + (", …" if len(unknown) > 5 else "")
                print(
                    f"recurra: line {line.number} has what training never had ({shown}): read as <unk>, as further such",
                    file=sys.stderr,
                )
                told = True
        yield line


@contextmanager
def _opened(file: Path | None) -> Iterator[tuple[BinaryIO, str]]:
    if file is None:
        yield sys.stdin.buffer, "stdin"
        return
    with open_bytes(file) as opened:
        yield opened, str(file)


def _put(text: str) -> None:
    r"""Writes as UTF-8 whatever the machine's own encoding is, without turning \n into anything else."""
    sys.stdout.buffer.write(text.encode())
    if sys.stdin.isatty():
        sys.stdout.buffer.flush()


translate = with_options(_translate, {"search": BeamOptions, "sampling": SamplingOptions}, {})
