"""`recurra translate DIR [FILE]`: a line in, a line out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from recurra.cli.opening import open_model
from recurra.cli.options import whole, with_options
from recurra.cli.output import is_interactive, put
from recurra.cli.seeds import check_seed, fresh_seed
from recurra.cli.streams import opened
from recurra.data.lines import Line, read_lines
from recurra.decoding import BeamOptions, SamplingOptions
from recurra.errors import InputError
from recurra.tasks.fields import field_names
from recurra.tasks.translator.model import Translator
from recurra.tasks.translator.verbs import translations
from recurra.tasks.translator.verbs.attention_plot import AttentionPlot

# Nothing, or how many lines are held: who types wants an answer a line, not one a window.
Window = dict[str, int]


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
    once. With --nbest N, 2 or more, each line gives its N best, best first, a line each: the number of the line, the
    score, the text, apart by tabs. An output that reaches the most symbols that its source allows is cut there: stderr
    says how many were; a line with a score ends in a tab and "cut", and in JSON "finished" is false.

    ```sh
    recurra translate german-english test.de > test.out
    echo "Ein Hund läuft." | recurra translate german-english --beam 10 --nbest 3
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
        Put before each text what it was ranked by, and a tab: log p in nats after the penalties.
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
    _check(options, forced, sample, seed, scores)
    searching, drawing = _divided(options)
    search, sampling = BeamOptions(**searching), SamplingOptions(**drawing)
    translator = open_model(model, cell, needs=Translator, does="translate")
    plot = AttentionPlot(attention_plot, translator)
    if sample and seed is None:
        seed = 0 if sampling.greedy else fresh_seed("these translations")
    window = {"window": 1} if file is None and is_interactive() else {}
    with opened(file) as (source, name):
        lines = _telling_unknown(read_lines(source, name), translator)
        if forced is not None:
            write_pair = translations.forced_as_object if as_json else translations.forced_as_text
            for line, target, total in translations.forced(translator, lines, name, forced, window=window):
                put(write_pair(line, target, total), as_json=as_json)
                plot.see(line.text, target)
        else:
            plain = partial(translations.as_text, scores=scores, numbered=search.nbest > 1)
            write = translations.as_object if as_json else plain
            drawn = partial(translator.sample, options=sampling, seed=seed or 0, **window)
            find = drawn if sample else partial(translator.outputs, options=search, **window)
            cut = translations.Cut()
            for line, found in translations.translated(find, lines):
                put(write(line, found), as_json=as_json)
                cut.see(line, found)
                plot.see(line.text, found[0].text, finished=found[0].finished)
            cut.report()
    plot.close()


def _divided(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of a search, and those of drawing."""
    searching = {name: value for name, value in options.items() if name in field_names(BeamOptions)}
    return searching, {name: value for name, value in options.items() if name not in searching}


def _check(options: dict[str, Any], forced: Path | None, sample: bool, seed: int | None, scores: bool) -> None:
    """Refuses what would have no effect."""
    check_seed(seed)
    searching, drawing = _divided(options)
    given = [*drawing, *(["seed"] if seed is not None else [])]
    if forced is not None:
        idle = [*searching, *given, *(["sample"] if sample else []), *(["scores"] if scores else [])]
        if idle:
            raise InputError(f"--forced looks for no translations: leave out {_flags(idle)}")
    if given and not sample:
        raise InputError(f"{_flags(given)}: only for translations that are drawn: add --sample")
    if searching and sample:
        raise InputError(f"--sample draws and searches for nothing: leave out {_flags(searching)}")


def _flags(names: Iterable[str]) -> str:
    return ", ".join("--" + name.replace("_", "-") for name in names)


def _telling_unknown(lines: Iterable[Line], translator: Translator) -> Iterator[Line]:
    """The lines; the first with symbols outside the vocabulary is reported on stderr."""
    told = False
    for line in lines:
        unknown = [] if told else list(dict.fromkeys(translator.vocabulary.source.missing(line.text)))
        if unknown:
            told = True
            shown = ", ".join(map(repr, unknown[:5]))
            print(
                f"recurra: line {line.number} has symbols outside the vocabulary ({shown}): read as <unk>, as all such",
                file=sys.stderr,
            )
        yield line


translate = with_options(_translate, {"search": BeamOptions, "sampling": SamplingOptions}, {})
