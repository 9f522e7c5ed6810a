"""What the scripts of benchmarks share: their options, the record of every result, their page, their bars.

`run` is for what takes minutes and is measured as a whole, `campaign` for what takes long and goes on where it stopped.
"""

import argparse
import json
import re
from dataclasses import dataclass

from tests.support.records import PAGES, ROOT, append, begin, complete, current, latest, made_on, unfinished


@dataclass(frozen=True)
class Bar:
    """The most that a measured value should be. It is printed beside the value and never asserted: machines differ."""

    what: str
    bar: float
    measured: float

    def __str__(self):
        verdict = "met" if self.measured <= self.bar else "missed"
        return f"{self.what}: bar {self.bar:.2f}, measured {self.measured:.2f}: {verdict}"


def question(doc):
    """The question in a script's docstring: its first paragraph, on one line."""
    return " ".join(doc.split("\n\n")[0].split())


def explanation(doc):
    """The rest of the docstring, a line for each paragraph and each item of a list."""
    paragraphs = [re.split(r"\n(?=- )", paragraph) for paragraph in doc.strip().split("\n\n")[1:]]
    return "\n\n".join("\n".join(" ".join(item.split()) for item in items) for items in paragraphs)


def run(name, doc, measure, page, rounds=5, add_options=None, bars=None, argv=None):
    """Measure, record, print the page, and write it if asked.

    Parameters
    ----------
    name : str
        Of the script, of the file of results and of the page in docs/benchmarks/.
    doc : str
        The script's docstring.
    measure : callable
        From the options to an iterator of records.
    page : callable
        From the records to the text of the page.
    rounds : int
        Default of --rounds.
    add_options : callable, optional
        Gets the parser.
    bars : callable, optional
        From the records to an iterable of `Bar`; they are printed at the end.
    argv : list of str, optional
        The command line.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help=f"rounds of alternating runs; {rounds} by default")
    parser.add_argument("--quick", action="store_true", help="a smoke run of seconds; nothing is recorded")
    parser.add_argument("--report", action="store_true", help=f"write docs/benchmarks/{name}.md from what is recorded")
    parser.add_argument("--no-run", action="store_true", help="measure nothing")
    if add_options is not None:
        add_options(parser)
    options = parser.parse_args(argv)
    if options.quick and options.report:
        parser.error("--quick records nothing that --report could show")
    if options.rounds is None:
        options.rounds = 1 if options.quick else rounds
    found = []
    for record in measure(options) if not options.no_run else ():
        found.append(record)
        print(one_line(record), flush=True)
        if not options.quick:
            append(name, record)
    records = found if options.quick else current(name)
    if not records:
        print(f"{name}: nothing measured, nothing recorded")
        return
    print(page(records))
    print_bars(records, bars)
    if options.report:
        write(name, records, page)


def print_bars(records, bars):
    for bar in bars(records) if bars is not None else ():
        print(bar, flush=True)


def one_line(record):
    sizes = " ".join(f"{key}={value}" for key, value in record["sizes"].items())
    parts = [record["contender"], sizes, f"threads={record['threads']}"]
    if "ratio" in record:
        parts.append(f"{record['ratio']:.3f} of {record.get('baseline')}")
    if "seconds" in record:
        parts.append(f"{record['seconds']:.3g} s")
    return "  ".join(parts)


def campaign(name, doc, measure, page, picture=None, add_options=None, check=None, quick=None, bars=None, argv=None):
    """Measure what the last run lacks, record every result as it comes, and write the page and the figure if asked.

    Parameters
    ----------
    name : str
        Of the script, of the file of results and of the page in docs/benchmarks/.
    doc : str
        The script's docstring.
    measure : callable
        From the options and the records of this run to an iterator of the records that it lacks.
    page : callable
        From the records to the text of the page.
    picture : callable, optional
        Gets the records and the path of the figure.
    add_options : callable, optional
        Gets the parser. A run that went through with these at their defaults, `data` excepted, is complete.
    check : callable, optional
        Gets the parser and the options before anything is measured.
    quick : callable, optional
        What --quick does, which is offered only if this is given: a smoke run of seconds, of which nothing is recorded.
    bars : callable, optional
        From the records to an iterable of `Bar`; they are printed at the end.
    argv : list of str, optional
        The command line.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    if add_options is not None:
        add_options(parser)
    defaults = vars(parser.parse_args([]))
    parser.add_argument(
        "--anew", action="store_true", help="begin a new run; pages show the last complete one, earlier ones stay"
    )
    parser.add_argument("--report", action="store_true", help=f"write docs/benchmarks/{name}.md from what is recorded")
    parser.add_argument("--no-run", action="store_true", help="measure nothing")
    if quick is not None:
        parser.add_argument("--quick", action="store_true", help="a smoke run of seconds; nothing is recorded")
    options = parser.parse_args(argv)
    if quick is not None and options.quick:
        quick()
        return
    if options.anew and options.no_run:
        parser.error("--anew begins a run that --no-run does not make")
    if not options.no_run:
        if check is not None:
            check(parser, options)
        if options.anew:
            begin(name)
        for record in measure(options, unfinished(name)):
            append(name, record)
            print(json.dumps(record, ensure_ascii=False)[:300], flush=True)
        if all(getattr(options, key) == value for key, value in defaults.items() if key != "data"):
            complete(name)
    print_bars(latest(name), bars)
    if options.report and not latest(name):
        print(f"{name}: nothing is recorded")
    elif options.report:
        write(name, latest(name), page, picture)


def module_of(script):
    """The module of a script, to be run with ``python -m``; no two folders have scripts of one name."""
    (path,) = (ROOT / "benchmarks").glob(f"*/{script}.py")
    return f"benchmarks.{path.parent.name}.{script}"


def regenerate(script, records, options="--anew --report"):
    """The last line of a page."""
    return f"Regenerate: `python -m {module_of(script)} {options}`. Recorded on {made_on(records)}.\n"


def write(name, records, page, picture=None):
    """The page and the figure of a script in docs/benchmarks/."""
    (PAGES / f"{name}.md").write_text(page(records), encoding="utf-8")
    if picture is not None:
        picture(records, PAGES / f"{name}.png")
