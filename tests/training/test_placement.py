"""Which device, and what of the data lies there; on machines that need not have one."""

import pytest
import torch

from sklstm._sequences import Sequences
from sklstm.networks import GRUNetwork
from sklstm.training import InputNoise, SequenceDataset
from sklstm.training._batches import BatchLoader, _batches, fits, resolve_device, to_device
from sklstm.training._inference import predict_blocks
from sklstm.training._process import seeded_construction

GIB = 2**30


@pytest.fixture
def machine(monkeypatch):
    """Makes torch see devices, of which some work."""

    def of(*, sees=(), works=None, bad_fork=False):
        monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: bad_fork)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in sees)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in sees)
        monkeypatch.setattr(_batches, "_works", lambda device: device in (sees if works is None else works))

    return of


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({}, "cpu"),
        ({"sees": ["cuda"]}, "cuda"),
        ({"sees": ["mps"]}, "mps"),
        ({"sees": ["cuda", "mps"]}, "cuda"),
        ({"sees": ["cuda"], "works": []}, "cpu"),  # a full card, or one too old
        ({"sees": ["cuda", "mps"], "works": ["mps"]}, "mps"),
        ({"sees": ["cuda"], "bad_fork": True}, "cpu"),
    ],
)
def test_auto_is_the_best_device_that_works(machine, there, expected):
    machine(**there)
    assert resolve_device("auto") == expected


def test_in_a_bad_fork_cuda_is_not_even_asked_for(machine, monkeypatch):
    machine(sees=["cuda"], bad_fork=True)
    monkeypatch.setattr(torch.cuda, "is_available", None)
    assert resolve_device("auto") == "cpu"


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1", "mps", torch.device("cuda", 1)])
def test_a_device_by_name_is_itself_whatever_the_machine(device):
    assert resolve_device(device) is device


def test_a_device_works_if_it_computes():
    assert _batches._works("cpu")
    assert not _batches._works("meta")
    if not torch.cuda.is_available():
        assert not _batches._works("cuda")


@pytest.mark.parametrize(("size", "expected"), [(4 * GIB, True), (4 * GIB + 1, False)])
def test_data_take_at_most_half_of_what_is_free_on_a_card(monkeypatch, size, expected):
    asked = []

    def free(device):
        asked.append(device)
        return 6 * GIB, 80 * GIB

    monkeypatch.setattr(torch.cuda, "mem_get_info", free)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 5 * GIB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 3 * GIB)  # 2 GiB are torch's to hand out
    assert fits(size, "cuda:1") is expected
    assert asked == [torch.device("cuda:1")]


@pytest.mark.parametrize(("size", "expected"), [(3 * GIB, True), (3 * GIB + 1, False)])
def test_the_same_of_memory_that_a_gpu_shares(monkeypatch, size, expected):
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 10 * GIB)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 4 * GIB)
    assert fits(size, "mps") is expected


def test_on_a_cpu_data_are_where_they_are():
    assert fits(2**60, "cpu")


class Recorded:
    """A tensor's journey."""

    def __init__(self, device="cpu"):
        self.device, self.steps = torch.device(device), []

    def pin_memory(self):
        self.steps.append("pinned")
        return self

    def to(self, device, non_blocking=False):
        self.steps.append((str(device), non_blocking))
        return self


@pytest.mark.parametrize(
    ("start", "end", "steps"),
    [
        ("cpu", "cuda:0", ["pinned", ("cuda:0", True)]),
        ("cpu", "mps", [("mps", False)]),
        ("cuda:0", "cuda", []),
        ("cuda:0", "cuda:0", []),
        ("cuda:0", "cuda:1", [("cuda:1", False)]),
        ("cpu", "cpu", []),
        ("cuda:0", "cpu", [("cpu", False)]),
    ],
)
def test_ways_of_a_batch(start, end, steps):
    tensor = Recorded(start)
    assert to_device(tensor, end) is tensor
    assert tensor.steps == steps
    batch = {"X": Recorded(start), "lengths": Recorded(start)}, (Recorded(start), Recorded(start))
    (inputs, targets) = to_device(batch, end)
    assert inputs == batch[0]
    assert targets == batch[1]
    assert all(part.steps == steps for part in (*inputs.values(), *targets))


def dataset(generator, ragged, weighted):
    X = torch.randn(23, 5, 2, generator=generator)
    if ragged:
        lengths = torch.arange(23) % 5 + 1
        X = Sequences(torch.randn(int(lengths.sum()), 2, generator=generator), lengths.numpy())
    return SequenceDataset(X, torch.arange(23.0), torch.ones(23) if weighted else None)


def tensors_of(batch):
    inputs, targets = batch
    return [
        *(inputs.values() if isinstance(inputs, dict) else [inputs]),
        *(targets if isinstance(targets, tuple) else [targets]),
    ]


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_batches_of_data_on_the_host_come_on_the_device(generator, ragged, weighted):
    data = dataset(generator, ragged, weighted)
    elsewhere = BatchLoader(data, 4, True, torch.Generator().manual_seed(1), InputNoise(0.1), device="meta")
    here = BatchLoader(data, 4, True, torch.Generator().manual_seed(1), InputNoise(0.1))
    batches = list(zip(elsewhere, here, strict=True))
    assert len(batches) == 6
    for there, own in batches:
        assert {tensor.device.type for tensor in tensors_of(there)} == {"meta"}
        assert {tensor.device.type for tensor in tensors_of(own)} == {"cpu"}
        assert [tensor.shape for tensor in tensors_of(there)] == [tensor.shape for tensor in tensors_of(own)]


def test_order_and_noise_do_not_depend_on_the_device(generator, monkeypatch):
    """Batches that take the way of data that do not fit are those of data that do."""
    data = dataset(generator, ragged=True, weighted=True)
    moves = []

    def copied(batch, device):
        moves.append(str(device))
        return {name: part.clone() for name, part in batch.items()} if isinstance(batch, dict) else batch

    seeds = [torch.Generator().manual_seed(1) for _ in range(2)]
    here = list(BatchLoader(data, 4, True, seeds[0], InputNoise(0.1)))
    monkeypatch.setattr("sklstm.training._batches.to_device", copied)
    there = list(BatchLoader(data, 4, True, seeds[1], InputNoise(0.1), device="cuda"))
    assert set(moves) == {"cuda"}
    assert all(torch.equal(a, b) for one, other in zip(here, there, strict=True)
               for a, b in zip(tensors_of(one), tensors_of(other), strict=True))  # fmt: skip
    assert torch.equal(seeds[0].get_state(), seeds[1].get_state())


@pytest.mark.parametrize("ragged", [False, True])
def test_predictions_for_data_on_the_host_are_made_where_the_network_is(generator, ragged):
    data = dataset(generator, ragged, weighted=False)
    with seeded_construction(0):
        module = GRUNetwork(2, 3, 4).to("meta")
    outputs = predict_blocks(module, data.X)
    assert outputs.device.type == "meta"
    assert outputs.shape == (23, 4)
