"""What benchmarks measure is recorded once, long runs go on where they stopped, and bars are printed, not asserted."""

import json

import pytest

from tests.support import records, suite
from tests.support.suite import Bar
from tests.support.timing import Paired


def record(contender="a", ratio=2.0, **changes):
    pair = Paired(seconds=ratio, baseline_seconds=1.0, ratio=ratio, quartiles=(ratio, ratio), rounds=1)
    return records.timing("toy", contender, "loop", {"H": 16}, 1, pair) | changes


def toy_page(found):
    return " ".join(f"{r['contender']}:{r['ratio']}" for r in found)


def toy_bars(found):
    return [Bar(r["contender"], 1.1, r["ratio"]) for r in found]


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(suite, "PAGES", tmp_path)

    def run(measured, *argv):
        suite.run("toy", "Is it?\n\nMore.", lambda options: iter(measured), toy_page, bars=toy_bars, argv=argv)
        return tmp_path / "toy.md"

    return run


def test_a_run_records_and_writes_the_page_only_if_asked(toy):
    page = toy([record("a"), record("b", 3.0)])
    assert not page.exists()
    assert toy([], "--no-run", "--report").read_text() == "a:2.0 b:3.0"
    names = {"question", "contender", "baseline", "sizes", "threads", "seconds", "ratio", "rounds"}
    assert names | {"quartiles", "machine", "versions", "date"} <= set(records.load("toy")[0])


def test_a_later_record_takes_the_place_of_an_earlier_one_of_its_case(toy):
    assert toy([record("a"), record("b"), record("a", 5.0)], "--report").read_text() == "a:5.0 b:2.0"
    assert len(records.load("toy")) == 3, "what was recorded stays in the file"


@pytest.mark.parametrize("changed", [{"machine": "another"}, {"versions": "others"}], ids=str)
def test_no_page_mixes_two_machines_or_versions(toy, changed):
    assert toy([record("a"), record("b") | changed], "--report").read_text() == "b:2.0"


def test_quick_and_report_exclude_each_other(toy, capsys):
    with pytest.raises(SystemExit):
        toy([], "--quick", "--report")
    assert "records nothing" in capsys.readouterr().err


def test_records_are_text_that_any_reader_of_json_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    records.append("toy", record("λ"))
    assert json.loads((tmp_path / "toy.jsonl").read_text(encoding="utf-8"))["contender"] == "λ"


@pytest.fixture
def long(tmp_path, monkeypatch):
    """A campaign of three numbers, of which it can make as many as it is told before it is killed."""
    monkeypatch.setattr(records, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(suite, "PAGES", tmp_path)

    def add_options(parser):
        parser.add_argument("--shift", type=int, default=0)

    def run(*argv, killed_after=3):
        def measure(options, done):
            made = 0
            for number in range(3):
                if number not in {each["number"] for each in done}:
                    if made == killed_after:
                        raise KeyboardInterrupt
                    made += 1
                    yield {"number": number, "value": number + options.shift}

        suite.campaign(
            "long",
            "Is it?",
            measure,
            lambda found: " ".join(str(each["value"]) for each in found),
            lambda found, path: path.write_bytes(bytes(len(found))),
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
    assert [each["value"] for each in records.load("long")] == [0, 1, 2, 10, 11, 22]


def test_records_that_do_not_say_where_they_were_made_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    (tmp_path / "long.jsonl").write_text('{"number": 0}\n')
    (tmp_path / "machines.json").write_text('{"long": "an old machine"}')
    records.append("long", {"number": 1})
    records.append("long", {"number": 2, "machine": "a named one"})
    assert records.made_on(records.load("long")) == f"an old machine; {records.machine()}; a named one"


def test_bars_are_printed_with_what_was_measured(toy, capsys):
    toy([record("a", 1.2), record("b", 1.0)])
    assert "a: bar 1.10, measured 1.20: missed\nb: bar 1.10, measured 1.00: met\n" in capsys.readouterr().out


def test_a_smoke_run_records_nothing(toy, capsys, tmp_path):
    toy([record("a")], "--quick")
    assert "a:2.0" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()
