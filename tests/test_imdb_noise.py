"""The experiment of the paper goes on where it was stopped."""

import json
from argparse import Namespace

import _records
import imdb_noise
import numpy as np
import pytest


@pytest.fixture
def options(tmp_path, monkeypatch):
    monkeypatch.setattr(_records, "RESULTS", tmp_path)
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "tiny.npz",
        tokens=rng.integers(1, 6, size=(40, 7)).astype(np.int32),
        length=np.full(40, 7),
        labels=np.arange(40) % 2,
        is_train=np.arange(40) < 24,
        embedding=np.vstack([np.zeros(3), rng.standard_normal((5, 3))]),
    )
    return Namespace(data=tmp_path / "tiny.npz", steps=[4, 6], runs=2, hidden=3, epochs=1)


def record_all(options):
    for record in imdb_noise.measure(options, _records.unfinished("imdb_noise")):
        _records.append("imdb_noise", record)
    return _records.load("imdb_noise")


def test_a_killed_run_continues(options, tmp_path, capsys):
    records = record_all(options)
    assert len({imdb_noise.key(record) for record in records}) == len(records) == 2 * 2 * len(imdb_noise.SIGMAS)
    path = tmp_path / "imdb_noise.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:13]) + "\n" + lines[13][:20])  # killed while it wrote
    capsys.readouterr()
    again = record_all(options)
    assert capsys.readouterr().out.count("gap") == 7, "what was finished is not run again"
    assert [imdb_noise.key(record) for record in again] == [imdb_noise.key(record) for record in records]
    same = ("test_error", "train_error_with_noise", "loss")
    assert [[r[name] for name in same] for r in again] == [[r[name] for name in same] for r in records]


def test_means_and_standard_errors(options):
    records = record_all(options)
    gaps = [r["test_error"] - r["train_error_with_noise"] for r in records if (r["n_steps"], r["sigma"]) == (4, 0.2)]
    mean, error, count = imdb_noise.summary(records)[4, 0.2]
    assert count == 2
    assert mean[0] == pytest.approx(np.mean(gaps))
    assert error[0] == pytest.approx(abs(gaps[0] - gaps[1]) / 2)


def test_settings_are_not_mixed(options):
    records = [json.loads('{"hidden": 3, "epochs": 1}'), json.loads('{"hidden": 4, "epochs": 1}')]
    with pytest.raises(ValueError, match="several settings"):
        imdb_noise.page(records)
