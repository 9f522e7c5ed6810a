"""A search on a Dask cluster of two processes on this machine: the same numbers, no trace."""

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed, parallel_config
from sklearn.model_selection import GridSearchCV

from sklstm.training._process import check_cuda_process, threads_for
from tests.support.searches import assert_same_outcomes, pipeline, problem

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            worker_dashboard_address=None,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.parametrize("kind", ["lstm", "relu"])
def test_a_cluster_finds_what_one_process_finds(kind, client, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, y = problem(kind)
    grid = {"model__lr": [1e-6, 0.03]}
    serial = GridSearchCV(pipeline(kind), grid, cv=2, n_jobs=1, error_score="raise").fit(X, y)
    with parallel_config("dask", wait_for_workers_timeout=20):
        spread = GridSearchCV(pipeline(kind), grid, cv=2, error_score="raise").fit(X, y)
    assert_same_outcomes(serial, spread)
    np.testing.assert_array_equal(serial.predict(X), spread.predict(X))
    assert list(tmp_path.iterdir()) == []


def test_the_search_was_spread_over_both_workers(client):
    def address():
        return distributed.get_worker().address

    with parallel_config("dask"):
        addresses = Parallel()(delayed(address)() for _ in range(20))
    assert len(set(addresses)) == 2
    assert all(address.startswith("tcp://127.0.0.1:") for address in addresses)


def test_a_worker_uses_its_own_share_of_threads(client):
    def counts():
        return torch.get_num_threads(), threads_for(256, 512, 8, 4)

    assert set(client.run(counts).values()) == {(1, 1)}


def test_cuda_in_a_worker_is_warned_of(client):
    def message():
        with pytest.warns(UserWarning, match="runs in a worker process") as caught:
            check_cuda_process("cuda")
        return len(caught)

    assert client.submit(message).result(timeout=20) == 1
