"""Results as JSON lines: a killed run continues where it stopped, and pages are made of what is recorded alone.

A file may hold several runs. A line ``{"mark": "new run"}`` starts one, ``{"mark": "complete"}`` says that a run has
everything it should; scripts that measure everything whenever they are called need neither.
"""

import datetime
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = ROOT / "docs" / "benchmarks"
NEW_RUN, COMPLETE = {"mark": "new run"}, {"mark": "complete"}


def _lines(name):
    """Everything in the file of results, runs' marks included; records that do not say it are told their machine.

    Scripts did not always note it. `results/machines.json` has it for what was recorded then.
    """
    path = RESULTS / f"{name}.jsonl"
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines if line.endswith("}")]  # a killed run may leave half a line
    places = RESULTS / "machines.json"
    known = json.loads(places.read_text(encoding="utf-8")) if places.exists() else {}
    return [{"machine": known[name]} | r if name in known and "mark" not in r else r for r in records]


def load(name):
    """All records of all runs."""
    return [record for record in _lines(name) if "mark" not in record]


def append(name, record):
    """Add a record to the file; one that does not say where it was made is told this machine and its versions."""
    if not record.keys() & {"machine", "mark"}:
        record = record | {"machine": machine()}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.jsonl"
    # What a killed run left of its last line must not swallow this one.
    torn = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    with open(path, "a", encoding="utf-8") as file:
        file.write("\n" * torn + json.dumps(record, ensure_ascii=False) + "\n")


def _runs(name):
    """Pairs of the records of a run and whether it is complete."""
    found = [([], False)]
    for line in _lines(name):
        if line == NEW_RUN:
            found.append(([], False))
        elif line == COMPLETE:
            found[-1] = (found[-1][0], True)
        else:
            found[-1][0].append(line)
    return [run for run in found if run[0]] + found[-1:] * (not found[-1][0])


def begin(name):
    """What follows is a new run."""
    append(name, NEW_RUN)


def complete(name):
    """The run that was last begun has everything."""
    if not _runs(name)[-1][1]:
        append(name, COMPLETE)


def unfinished(name):
    """The records of the run that was last begun, complete or not: what need not be measured again."""
    return _runs(name)[-1][0]


def latest(name):
    """The records of the last complete run, for pages. Where none is complete, those of the first one with any."""
    runs = _runs(name)
    return next((records for records, whole in reversed(runs) if whole), runs[0][0])


def processor():
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            model = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.machine()
    return f"{model}, {os.cpu_count()} cores"


def versions():
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "skorch", "scikit-learn", "numpy"))
    return f"Python {platform.python_version()}, {packages}"


def machine():
    return f"{processor()}; {versions()}"


def made_on(records):
    """Where the records were made, every place once."""
    return "; ".join(dict.fromkeys(record["machine"] for record in records))


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


# What follows is the common format of the scripts that measure time or memory.


def result(question, contender, sizes, threads, **measured):
    """A record: what was asked (the script's name), who answered, at which sizes, what came out, where and when.

    The load is the machine's over the last minute, this run in it.
    """
    return {
        "question": question,
        "contender": contender,
        "sizes": sizes,
        "threads": threads,
        **measured,
        "machine": processor(),
        "versions": versions(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "date": datetime.date.today().isoformat(),
    }


def timing(question, contender, baseline, sizes, threads, pair, **more):
    """A record of a `timing.Paired`."""
    measured = {
        "seconds": float(f"{pair.seconds:.4g}"),
        "baseline_seconds": float(f"{pair.baseline_seconds:.4g}"),
        "ratio": round(pair.ratio, 4),
        "quartiles": [round(value, 4) for value in pair.quartiles],
        "rounds": pair.rounds,
    }
    return result(question, contender, sizes, threads, baseline=baseline, **measured, **more)


def case(record):
    """What a record is about: a later record of the same case takes an earlier one's place on the page."""
    return record["contender"], record.get("baseline"), json.dumps(record["sizes"], sort_keys=True), record["threads"]


def current(name):
    """The latest record of every case; only the last record's machine and versions, so that no page mixes two."""
    records = [record for record in load(name) if "sizes" in record]
    here = [r for r in records if (r["machine"], r["versions"]) == (records[-1]["machine"], records[-1]["versions"])]
    return list({case(record): record for record in here}.values())


def recorded_on(records):
    """Where and when the records were made, as the end of a sentence."""
    last = records[-1]
    dates = sorted({record["date"] for record in records})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return f"{last['machine']}; {last['versions']}; {when}"


def ratio(record, digits=2):
    """Median of the ratio, with its quartiles."""
    low, high = record["quartiles"]
    return f"{record['ratio']:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def pivot(records, rows, columns, cell=ratio, order=()):
    """Rows of a table: one for every value of the key `rows`, with a cell for every value of the key `columns`.

    Parameters
    ----------
    records : list of dict
    rows, columns : callable
        From a record to its row, a tuple whose entries are the first cells, and to its column.
    cell : callable
        From a record to the text of its cell. A case without a record is a dash.
    order : sequence
        The first columns; others follow as they come.

    Returns
    -------
    columns : list
    rows : list of list
    """
    present = dict.fromkeys(columns(record) for record in records)
    header = [name for name in order if name in present] + [name for name in present if name not in order]
    cells = {(rows(record), columns(record)): cell(record) for record in records}
    starts = sorted({rows(record) for record in records})
    return header, [[*start, *(cells.get((start, column), "–") for column in header)] for start in starts]
