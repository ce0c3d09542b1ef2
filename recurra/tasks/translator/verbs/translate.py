"""`recurra translate DIR [FILE]`: translates line by line."""

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
    """Translate the lines of a file or of stdin with a translator: one line of output per line of input, in order.

    Files may have any size: about a thousand lines are read ahead. The output for an empty line is an empty line; a
    typed line is answered at once. With --nbest N, 2 or more, the output has N lines per line of input, best first: the
    number of the line, the score and the text, separated by tabs. An output that reaches the largest number of symbols
    that its source allows is cut there: the number of these is reported on stderr; a line with a score ends in a tab
    and "cut", and in JSON "finished" is false.

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
        Sources, UTF-8, one per line; stdin if it is left out.
    scores
        Print before each text its score and a tab: log p in nats after the penalties.
    as_json
        Print one JSON object per line: its number, its source, its outputs with score and log-probability.
    forced
        A file of targets, line by line: print log p of each in nats, its end symbol included, in place of translating.
    sample
        Sample a translation from the model's distribution, in place of searching for the most probable one.
    seed
        For --sample: the same seed gives the same translations. Default: a new seed each time, which is printed to
        stderr.
    attention_plot
        Plot the attention weights of the first line that is not empty to this file (.png, .svg or .pdf).
    cell
        module:Class, for a model that was trained with a user-defined cell.
    """
    _check(options, forced, sample, seed, scores)
    search_options, sampling_options = _split(options)
    search, sampling = BeamOptions(**search_options), SamplingOptions(**sampling_options)
    translator = open_model(model, cell, needs=Translator, does="translate")
    plot = AttentionPlot(attention_plot, translator)
    if sample and seed is None:
        seed = 0 if sampling.greedy else fresh_seed("these translations")
    # A person who types expects an answer to each line, not one per window of a thousand.
    window = {"window": 1} if file is None and is_interactive() else {}
    with opened(file) as (source, name):
        lines = _report_unknown(read_lines(source, name), translator)
        if forced is not None:
            scored = translations.score_lines(translator, lines, name, forced, window=window)
            write_score = translations.score_as_object if as_json else translations.score_as_text
            for line, target, log_probability in scored:
                put(write_score(line, target, log_probability), as_json=as_json)
                plot.add(line.text, target)
        else:
            drawn = partial(translator.sample, options=sampling, seed=seed or 0, **window)
            searched = partial(translator.outputs, options=search, **window)
            as_text = partial(translations.as_text, scores=scores, numbered=search.nbest > 1)
            write = translations.as_object if as_json else as_text
            cut = translations.CutCounter()
            for line, n_best in translations.translate_lines(drawn if sample else searched, lines):
                put(write(line, n_best), as_json=as_json)
                cut.add(line, n_best)
                plot.add(line.text, n_best[0].text, finished=n_best[0].finished)
            cut.report()
    plot.close()


def _split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the options of the search and those of the sampling."""
    search = {name: value for name, value in options.items() if name in field_names(BeamOptions)}
    return search, {name: value for name, value in options.items() if name not in search}


def _check(options: dict[str, Any], forced: Path | None, sample: bool, seed: int | None, scores: bool) -> None:
    """Refuses options that would have no effect."""
    check_seed(seed)
    search, sampling = _split(options)
    of_sampling = [*sampling, *(["seed"] if seed is not None else [])]
    if forced is not None:
        idle = [*search, *of_sampling, *(["sample"] if sample else []), *(["scores"] if scores else [])]
        if idle:
            raise InputError(f"--forced translates nothing: leave out {_flags(idle)}")
    if of_sampling and not sample:
        raise InputError(f"{_flags(of_sampling)}: only for sampled translations: add --sample")
    if search and sample:
        raise InputError(f"--sample searches for nothing: leave out {_flags(search)}")


def _flags(names: Iterable[str]) -> str:
    return ", ".join("--" + name.replace("_", "-") for name in names)


def _report_unknown(lines: Iterable[Line], translator: Translator) -> Iterator[Line]:
    """Yields the lines, and reports the first one with symbols outside the vocabulary on stderr."""
    reported = False
    for line in lines:
        unknown = [] if reported else list(dict.fromkeys(translator.vocabulary.source.missing(line.text)))
        if unknown:
            reported = True
            shown = ", ".join(map(repr, unknown[:5]))
            print(
                f"recurra: line {line.number} has symbols outside the vocabulary ({shown}): read as <unk>; later lines "
                "are not reported",
                file=sys.stderr,
            )
        yield line


translate = with_options(_translate, {"search": BeamOptions, "sampling": SamplingOptions}, {})
