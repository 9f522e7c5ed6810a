"""CUDA beside worker processes, on machines that need not have it: who asks for it, and what they are told."""

import warnings

import pytest
import torch
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from sklstm import TikhonovLSTMRegressor
from sklstm.training._process import check_cuda_process
from tests.support.searches import ESTIMATORS, pipeline, problem


def warnings_of_check(device):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_cuda_process(device)
    return [str(warning.message) for warning in caught]


def test_no_warning_in_the_main_process_nor_for_other_devices():
    assert warnings_of_check("cuda") == []
    assert warnings_of_check(torch.device("cuda", 0)) == []
    assert warnings_of_check("cpu") == []


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # "multiprocessing" is that
@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_a_worker_is_warned_once_and_told_what_to_do(backend):
    if backend == "multiprocessing" and torch.backends.cuda.is_built():
        pytest.skip("a build for CUDA may have been asked for its devices before, and then refuses in a fork")
    check = delayed(warnings_of_check)
    in_workers = Parallel(n_jobs=2, backend=backend)(check(device) for device in ("cuda", "cuda:1", "cpu"))
    assert [len(messages) for messages in in_workers] == [1, 1, 0]
    assert "device='cuda:1'" in in_workers[1][0]
    assert "n_jobs=1" in in_workers[0][0]


def test_threads_of_one_process_share_its_context_and_are_not_warned():
    assert Parallel(n_jobs=2, backend="threading")(delayed(warnings_of_check)("cuda") for _ in range(2)) == [[], []]


def test_a_fork_that_broke_cuda_is_an_error_and_no_hang(monkeypatch):
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
    check_cuda_process("cpu")
    with pytest.raises(RuntimeError, match=r"forked from one that had used CUDA.*'loky'.*'spawn'.*device='cpu'"):
        check_cuda_process("cuda")


def test_fit_makes_the_check_before_any_work(monkeypatch):
    from sklstm._validation import Device

    monkeypatch.setattr(Device, "check", lambda self, name, value: None)  # a machine that has the device
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
    model = TikhonovLSTMRegressor(4, device="cuda")
    before = dict(vars(model))
    with pytest.raises(RuntimeError, match="does not survive a fork"):
        model.fit([[1.0, 2.0], [3.0, 4.0]], [1.0, 2.0])
    assert vars(model) == before


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_nothing_on_the_cpu_initialises_cuda(kind, monkeypatch):
    def touched():
        raise AssertionError("CUDA was initialised")

    monkeypatch.setattr(torch.cuda, "_lazy_init", touched)
    X, y = problem(kind, n=60)
    model = clone(pipeline(kind)).set_params(model__device="cuda").set_params(model__device="cpu")
    cross_val_score(model, X, y, cv=2, error_score="raise")
    # Constructed for a card, and cloned, it still asks for none.
    clone(pipeline(kind, device="cuda"))
