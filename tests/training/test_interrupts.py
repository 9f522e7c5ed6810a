"""Ctrl-C at any line of any call: it comes out, and the process has the settings it had."""

import contextlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

import sklstm
from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.model_selection import RegularizationPathCV
from sklstm.training import _process
from sklstm.training._process import restores_settings
from tests.support.interrupts import (
    entries_of,
    harmful_lines,
    interrupted_at,
    interrupted_at_entry,
    lines_of,
    settings,
)

QUICK = {"hidden_size": 3, "max_epochs": 1, "random_state": 0}
# Every line of the files that set and restore; of the others, through which an interrupt only passes, every so many.
CLOSELY = {"_process.py", "_base.py", "_train.py", "_inference.py"}
STRIDE = 10


@pytest.fixture(autouse=True)
def something_to_lose():
    """Two threads, so that a limit of one is a change."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with threadpool_limits(2, user_api="blas"):
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    X = np.random.default_rng(0).standard_normal((24, 4, 2))
    y, labels = X[:, -1, 0], X[:, -1, 0] > 0
    lstm = TikhonovLSTMRegressor(**QUICK).fit(X, y)
    relu = NoisyRNNClassifier(**QUICK).fit(X, labels)
    folder = tmp_path_factory.mktemp("models")
    lstm.save(folder / "there.safetensors")
    pickled = pickle.dumps(lstm)
    plain = TikhonovLSTMRegressor(**QUICK | {"max_epochs": 2, "compute_bound": False})
    return {
        "fit": lambda: TikhonovLSTMRegressor(early_stopping=True, **QUICK).fit(X, y),
        "fit a classifier": lambda: NoisyRNNClassifier(**QUICK).fit(X, labels),
        "partial_fit": lambda: TikhonovLSTMRegressor(**QUICK).partial_fit(X, y),
        "predict": lambda: lstm.predict(X),
        "certify": lambda: lstm.certify(X[:2], 0.01, method="linear"),
        "radius": lambda: relu.certified_radius(X[:2], rtol=0.5),
        "save": lambda: lstm.save(folder / "new.safetensors"),
        "load": lambda: sklstm.load(folder / "there.safetensors"),
        "unpickle": lambda: pickle.loads(pickled),
        "quantized_": lambda: relu.quantized_,
        "path": lambda: RegularizationPathCV(plain, "lambda_s", [0.01, 0.1], cv=2, refit=False).fit(X, y),
    }


NAMES = ["fit", "fit a classifier", "partial_fit", "predict", "certify", "radius", "save", "load", "path"]


@pytest.mark.parametrize("name", NAMES)
def test_an_interrupt_leaves_the_process_as_it_was(calls, name):
    call = calls[name]
    places = lines_of(call)
    assert len(places) > 100
    chosen = [place for i, place in enumerate(places) if Path(place[0]).name in CLOSELY or i % STRIDE == 0]
    assert list(harmful_lines(call, chosen)) == []
    call()  # nothing is locked, nothing half done


@pytest.mark.parametrize("number", [2, 3])
def test_nor_does_one_while_settings_are_being_restored(calls, number):
    call, before = calls["predict"], settings()
    for place in lines_of(call):
        if Path(place[0]).name == "_process.py":
            interrupted_at(call, place, number)
            assert settings() == before, place


@pytest.mark.parametrize("name", ["predict", "certify", "save", "load", "unpickle", "quantized_"])
@pytest.mark.parametrize("library", [torch.__file__, contextlib.__file__, np.__file__])
def test_nor_does_one_inside_of_a_library(calls, name, library):
    """At the entries of torch's functions, such as `no_grad.__exit__`, with a default device there to be lost."""
    folder = str(Path(library).parent) + os.sep if library.endswith("__init__.py") else library
    call, before_it = calls[name], settings()
    torch.set_default_device("cpu")
    try:
        before = settings()
        places = entries_of(call, folder)
        for place in places[:: max(1, len(places) // 60)]:
            for number in (1, 2):
                interrupted_at_entry(call, place, number)
                assert settings() == before, place
    finally:
        torch.set_default_device(None)
    assert settings() == before_it


def test_everything_that_a_call_may_set_is_given_back():
    @restores_settings
    def careless():
        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        torch.set_autocast_enabled("cpu", True)
        torch.device("meta").__enter__()
        np.seterr(all="ignore")
        _process._holding(_process._NUMPY_THREADS, "one").__enter__()
        raise KeyboardInterrupt

    before = settings()
    with pytest.raises(KeyboardInterrupt):
        careless()
    assert settings() == before


def test_settings_of_the_process_have_several_holders():
    shared, written = (
        _process._Shared(lambda: ["before"], lambda values: written.extend(values), lambda w, n: w[-1:]),
        [],
    )
    first, second = object(), object()
    shared.hold(first, "one")
    shared.hold(second, "two")
    shared.release(first)
    shared.release(first)  # once more, as after an interrupt
    shared.release(second)
    shared.release(second)
    assert written == ["one", "two", "two", "two", "before"]
