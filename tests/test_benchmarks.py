"""The benchmarks ask one question a script, and their pages are what their records say."""

import ast
import importlib
import json
from pathlib import Path

import _records
import _suite
import certificate_cost
import numpy as np
import pages
import predict_speed
import pytest
import summary
import torch
from _timing import Paired, compare, paired

FOLDER = Path(_suite.__file__).parent
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
# Minutes to hours, or data that do not ship with the package, or no measurement of their own: without --quick.
WITHOUT_QUICK = {
    "bound_coverage",
    "certificate_soundness",
    "certificate_tightness",
    "convergence_in_n",
    "fuzz_estimators",
    "fuzz_saved_models",
    "gpu",
    "imdb_noise",
    "large_data",
    "noise_robustness",
    "occam_bound",
    "pages",
    "peer_features",
    "prepare_datasets",
    "quickstart_figures",
    "quoted",
    "regenerate",
    "regularisers",
    "smallest_eigenvalue",
    "stack_penalty",
    "summary",
}
NO_QUESTION = {"prepare_datasets"}
PAGES = pages.pages()
NOT_MADE_FROM_RECORDS = {"index", "summary"}


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name not in NO_QUESTION])
def test_every_script_asks_a_question(name):
    doc = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text()))
    assert "?" in _suite.question(doc)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_has_a_smoke_run_or_is_known_to_be_long(name):
    source = (FOLDER / f"{name}.py").read_text()
    quick = "    run(NAME, __doc__" in source or "quick=quick" in source
    assert quick != (name in WITHOUT_QUICK)


def test_make_runs_every_script_that_has_a_smoke_run():
    makefile = (FOLDER.parent / "Makefile").read_text()
    line = next(line for line in makefile.splitlines() if line.startswith("BENCHMARKS :="))
    assert set(line.split()[2:]) == set(SCRIPTS) - WITHOUT_QUICK


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_what_is_recorded(name):
    module, records = PAGES[name]
    page = _records.PAGES / f"{name}.md"
    text = page.read_text(encoding="utf-8")
    assert text == module.page(records)
    assert hasattr(module, "picture") == (f"]({name}.png)" in text) == page.with_suffix(".png").exists()


def test_every_page_and_figure_is_made_from_records_and_found_in_the_index():
    found = {path.stem for path in _records.PAGES.glob("*.md")}
    assert found == set(PAGES) | NOT_MADE_FROM_RECORDS
    assert {path.stem for path in _records.PAGES.glob("*.png")} <= set(PAGES)
    listed = (_records.PAGES / "index.md").read_text(encoding="utf-8").splitlines()
    assert found - {"index"} <= set(listed)


def test_all_that_is_recorded_has_a_page():
    recorded = {path.stem for path in _records.RESULTS.glob("*.jsonl")}
    assert recorded == {module.NAME for module, _ in PAGES.values()}


@pytest.mark.parametrize("name", [name for name, (module, _) in PAGES.items() if hasattr(module, "picture")])
def test_figures_are_drawn_from_records(name, tmp_path):
    module, records = PAGES[name]
    module.picture(records, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_pages_that_differ_are_named(tmp_path, monkeypatch):
    for path in _records.PAGES.glob("*.md"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(pages, "PAGES", tmp_path)
    for name, (module, _) in PAGES.items():
        if hasattr(module, "picture"):
            (tmp_path / f"{name}.png").touch()
    assert list(pages.differing()) == []
    (tmp_path / "memory.md").write_text("by hand")
    (tmp_path / "imdb_noise.png").unlink()
    assert set(pages.differing()) == {"memory.md", "imdb_noise.png"}


def test_the_summary_is_what_is_recorded_and_explains_what_is_lost():
    text = summary.page()
    assert (_records.PAGES / "summary.md").read_text(encoding="utf-8") == text
    assert "Not explained yet" not in text


@pytest.mark.parametrize("module", [certificate_cost, predict_speed], ids=lambda module: module.NAME)
def test_a_smoke_run_records_nothing(module, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(_records, "RESULTS", tmp_path)
    options = getattr(module, "add_options", None)
    with torch.random.fork_rng(devices=[]):
        _suite.run(module.NAME, module.__doc__, module.measure, module.page, add_options=options, argv=["--quick"])
    assert _suite.question(module.__doc__) in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def record(contender="a", ratio=2.0, **changes):
    pair = Paired(seconds=ratio, baseline_seconds=1.0, ratio=ratio, quartiles=(ratio, ratio), rounds=1)
    return _records.timing("toy", contender, "loop", {"H": 16}, 1, pair) | changes


def toy_page(records):
    return " ".join(f"{r['contender']}:{r['ratio']}" for r in records)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.setattr(_records, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(_suite, "PAGES", tmp_path)

    def run(measured, *argv):
        _suite.run("toy", "Is it?\n\nMore.", lambda options: iter(measured), toy_page, argv=argv)
        return tmp_path / "toy.md"

    return run


def test_a_run_records_and_writes_the_page_only_if_asked(toy):
    page = toy([record("a"), record("b", 3.0)])
    assert not page.exists()
    assert toy([], "--no-run", "--report").read_text() == "a:2.0 b:3.0"
    names = {"question", "contender", "baseline", "sizes", "threads", "seconds", "ratio", "rounds"}
    assert names | {"quartiles", "machine", "versions", "date"} <= set(_records.load("toy")[0])


def test_a_later_record_takes_the_place_of_an_earlier_one_of_its_case(toy):
    assert toy([record("a"), record("b"), record("a", 5.0)], "--report").read_text() == "a:5.0 b:2.0"
    assert len(_records.load("toy")) == 3, "what was recorded stays in the file"


@pytest.mark.parametrize("changed", [{"machine": "another"}, {"versions": "others"}], ids=str)
def test_no_page_mixes_two_machines_or_versions(toy, changed):
    assert toy([record("a"), record("b") | changed], "--report").read_text() == "b:2.0"


def test_quick_and_report_exclude_each_other(toy, capsys):
    with pytest.raises(SystemExit):
        toy([], "--quick", "--report")
    assert "records nothing" in capsys.readouterr().err


class Clock:
    """A machine that gets slower by the same amount with every second that a run takes on it at first."""

    def __init__(self, monkeypatch):
        self.now, self.slowness, self.runs = 0.0, 1.0, []
        monkeypatch.setattr("_timing.time.perf_counter", lambda: self.now)

    def work(self, name, amount):
        def run():
            self.runs.append(name)
            self.now += amount * self.slowness
            self.slowness += 0.25

        return run


def test_alternating_runs_cancel_drift(monkeypatch):
    clock = Clock(monkeypatch)
    found = compare({"A": clock.work("A", 1)}, {"B": clock.work("B", 3), "C": clock.work("C", 2)}, 4, warm_up=False)
    assert "".join(clock.runs) == "ABACA" * 4
    assert found["B", "A"].ratio == pytest.approx(3, rel=1e-12)
    assert found["C", "A"].quartiles == pytest.approx((2, 2), rel=1e-12)


def test_two_baselines_are_compared_with_each_other_too(monkeypatch):
    clock = Clock(monkeypatch)
    found = compare({"A": clock.work("A", 1), "F": clock.work("F", 1)}, {"B": clock.work("B", 1)}, 2)
    assert "".join(clock.runs) == "AFB" + "AFBFA" * 2
    assert set(found) == {("B", "A"), ("B", "F"), ("F", "A")}
    assert found["F", "A"].ratio == pytest.approx(1, rel=1e-12)


def test_medians_and_quartiles():
    ratios = [1.0, 2.0, 3.0, 4.0, 10.0]
    pair = paired([2 * ratio for ratio in ratios], [2.0] * 5)
    assert (pair.seconds, pair.baseline_seconds, pair.ratio, pair.rounds) == (6.0, 2.0, 3.0, 5)
    assert pair.quartiles == tuple(np.quantile(ratios, [0.25, 0.75]))


def test_what_is_lost_is_named_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(_records, "RESULTS", tmp_path)
    for contender, ratio in (("sklstm, λ = 0", 1.5), ("skorch", 2.0)):
        _records.append("fit_speed", record(contender, ratio, question="fit_speed"))
    (line,) = summary.losses("fit_speed", ("sklstm, λ = 0",))
    assert "one thread: up to 1.50 against the loop (H = 16)." in line
    assert line.endswith(summary.WHY["fit_speed", "sklstm, λ = 0", "one thread"])


def test_records_are_text_that_any_reader_of_json_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(_records, "RESULTS", tmp_path)
    _records.append("toy", record("λ"))
    assert json.loads((tmp_path / "toy.jsonl").read_text(encoding="utf-8"))["contender"] == "λ"


def test_the_peers_are_those_that_the_pages_name():
    peers = importlib.import_module("_peers")
    assert tuple(peers.PEERS) == importlib.import_module("_peer_environment").NAMES


@pytest.fixture
def long(tmp_path, monkeypatch):
    """A campaign of three numbers, of which it can make as many as it is told before it is killed."""
    monkeypatch.setattr(_records, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(_suite, "PAGES", tmp_path)

    def add_options(parser):
        parser.add_argument("--shift", type=int, default=0)

    def run(*argv, killed_after=3):
        def measure(options, done):
            made = 0
            for number in range(3):
                if number not in {record["number"] for record in done}:
                    if made == killed_after:
                        raise KeyboardInterrupt
                    made += 1
                    yield {"number": number, "value": number + options.shift}

        _suite.campaign(
            "long",
            "Is it?",
            measure,
            lambda records: " ".join(str(record["value"]) for record in records),
            lambda records, path: path.write_bytes(bytes(len(records))),
            add_options,
            argv=argv,
        )
        return (tmp_path / "long.md").read_text() if (tmp_path / "long.md").exists() else None

    return run


def test_a_killed_campaign_goes_on_where_it_stopped(long, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        long("--shift", "10", killed_after=2)
    assert long("--report") == "10 11 2"
    assert (tmp_path / "long.png").read_bytes() == bytes(3)
    assert long("--report", killed_after=0) == "10 11 2", "nothing is measured twice"


def test_a_new_run_is_shown_once_it_is_complete_and_earlier_ones_stay(long):
    assert long("--report") == "0 1 2"
    with pytest.raises(KeyboardInterrupt):
        long("--anew", "--shift", "10", killed_after=2)
    assert long("--no-run", "--report") == "0 1 2", "of an incomplete run no page is made while there is a complete one"
    assert long("--shift", "20", "--report") == "0 1 2", "a run with other settings than the script's is not complete"
    assert long("--report") == "10 11 22"
    assert [record["value"] for record in _records.load("long")] == [0, 1, 2, 10, 11, 22]


def test_records_that_do_not_say_where_they_were_made_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(_records, "RESULTS", tmp_path)
    (tmp_path / "long.jsonl").write_text('{"number": 0}\n')
    (tmp_path / "machines.json").write_text('{"long": "an old machine"}')
    _records.append("long", {"number": 1})
    _records.append("long", {"number": 2, "machine": "a named one"})
    assert _records.made_on(_records.load("long")) == f"an old machine; {_records.machine()}; a named one"
