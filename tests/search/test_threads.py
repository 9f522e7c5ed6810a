"""Fits in several threads or processes at once: none takes more threads than agreed, and all is as before."""

import threading

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed, parallel_config
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_info, threadpool_limits

from sklstm.training._process import single_threaded_numpy, thread_limit, threads_for
from tests.support.searches import assert_same_outcomes, pipeline, problem


def in_a_new_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def numpy_threads():
    return [library["num_threads"] for library in threadpool_info() if library["internal_api"] == "openblas"]


@pytest.fixture
def two_threads():
    """torch and numpy may use two threads, as on any machine with two cores; the suite itself gives them one."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with threadpool_limits(2, user_api="blas"):
        yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", ["lstm", "relu"])
def test_a_search_in_threads_equals_one_after_the_other(kind, two_threads):
    X, y = problem(kind, n=80)
    # The large network is worth two threads, the small one is not: their limits overlap in every order.
    large = 130 if kind == "lstm" else 250
    grid = {"model__hidden_size": [3, large, 5, 4], "model__max_epochs": [2], "model__batch_size": [80]}
    assert (threads_for(53, large, 2, 4 if kind == "lstm" else 1), threads_for(53, 5, 2, 4)) == (2, 1)
    serial = GridSearchCV(pipeline(kind, lr=1e-4), grid, cv=3, n_jobs=1, error_score="raise").fit(X, y)
    counts = numpy_threads()
    for _ in range(2):
        with parallel_config("threading"):
            threaded = GridSearchCV(pipeline(kind, lr=1e-4), grid, cv=3, n_jobs=3, error_score="raise").fit(X, y)
        assert_same_outcomes(serial, threaded)
        np.testing.assert_array_equal(serial.predict(X), threaded.predict(X))
        assert torch.get_num_threads() == in_a_new_thread(torch.get_num_threads) == 2
        assert in_a_new_thread(torch.is_grad_enabled)
        assert torch.is_grad_enabled()
        assert numpy_threads() == counts


def test_limits_that_overlap_in_two_threads_do_not_meet(two_threads):
    """A thread that begins within the limit of another has the full count, and both give back what they found."""
    first_is_in, other_is_in, first_is_out = threading.Event(), threading.Event(), threading.Event()
    seen = {}

    def other():
        assert first_is_in.wait(10)
        seen["before"] = threads_for(64, 512, 50, 4)  # large work: all the threads there are
        with thread_limit(1):
            seen["inside"] = torch.get_num_threads()
            other_is_in.set()
            assert first_is_out.wait(10)
        seen["after"] = torch.get_num_threads()

    thread = threading.Thread(target=other)
    thread.start()
    with thread_limit(1):
        first_is_in.set()
        assert other_is_in.wait(10)
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    first_is_out.set()
    thread.join()
    assert seen == {"before": 2, "inside": 1, "after": 2}
    assert torch.get_num_threads() == in_a_new_thread(torch.get_num_threads) == 2


def test_numpy_keeps_one_thread_until_the_last_block_has_ended(two_threads):
    counts = numpy_threads()
    if set(counts) != {2}:
        pytest.skip("numpy without OpenBLAS, or on one core")
    first, second = single_threaded_numpy(), single_threaded_numpy()
    first.__enter__()
    second.__enter__()
    assert set(numpy_threads()) == {1}
    first.__exit__(None, None, None)
    assert set(numpy_threads()) == {1}, "the second block is still running"
    second.__exit__(None, None, None)
    assert numpy_threads() == counts


def test_many_threads_come_and_go_and_nothing_is_left_behind(two_threads):
    counts = numpy_threads()

    def work(number):
        for _ in range(30):
            with thread_limit(1 + number % 2), single_threaded_numpy():
                assert torch.get_num_threads() == 1 + number % 2
        return torch.get_num_threads()

    with parallel_config("threading"):
        assert Parallel(n_jobs=8)(delayed(work)(number) for number in range(16)) == [2] * 16
    assert torch.get_num_threads() == in_a_new_thread(torch.get_num_threads) == 2
    assert numpy_threads() == counts


def threads_of_a_worker():
    return torch.get_num_threads(), threads_for(64, 512, 50, 4), numpy_threads()


def test_a_worker_process_never_exceeds_what_joblib_agreed():
    with parallel_config("loky", inner_max_num_threads=1):  # whatever the number of cores
        found = Parallel(n_jobs=2)(delayed(threads_of_a_worker)() for _ in range(4))
    for of_torch, of_large_work, of_numpy in found:
        assert of_large_work == of_torch == 1
        assert max(of_numpy, default=1) == 1
