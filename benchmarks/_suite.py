"""What the scripts that measure time or memory share: their options, the record of every result, their page."""

import argparse

from _records import PAGES, append, current


def question(doc):
    """The question in a script's docstring: its first paragraph, on one line."""
    return " ".join(doc.split("\n\n")[0].split())


def explanation(doc):
    """The rest of the docstring, a line a paragraph."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in doc.strip().split("\n\n")[1:])


def run(name, doc, measure, page, rounds=5, add_options=None, argv=None):
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
    text = page(records)
    print(text)
    if options.report:
        (PAGES / f"{name}.md").write_text(text, encoding="utf-8")


def one_line(record):
    sizes = " ".join(f"{key}={value}" for key, value in record["sizes"].items())
    parts = [record["contender"], sizes, f"threads={record['threads']}"]
    if "ratio" in record:
        parts.append(f"{record['ratio']:.3f} of {record.get('baseline')}")
    if "seconds" in record:
        parts.append(f"{record['seconds']:.3g} s")
    return "  ".join(parts)
