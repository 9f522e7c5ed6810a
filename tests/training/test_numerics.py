"""The arithmetic of the package beside what the caller has asked of torch."""

import threading

import pytest
import torch

from sklstm.training import _process
from sklstm.training._process import products_in, restores_settings

CUDA, CPU = _process._ROUNDINGS["cuda"], _process._ROUNDINGS["cpu"]
EXACT, FAST = "exact", "fast"


def values(settings):
    return [setting.read() for setting in settings]


def of(settings, kind):
    return [getattr(setting, kind) for setting in settings]


def legacy():
    return (
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.get_float32_matmul_precision(),
    )


@pytest.fixture(autouse=True)
def settings_and_cuda_are_left_alone(monkeypatch):
    def touched():
        raise AssertionError("CUDA was initialised")

    monkeypatch.setattr(torch.cuda, "_lazy_init", touched)
    before = values(CUDA), values(CPU), legacy()
    yield
    assert (values(CUDA), values(CPU), legacy()) == before


def test_torch_itself_lets_recurrent_layers_on_cuda_round_to_tf32():
    """Why float32 has to be asked for."""
    recurrent = CUDA[1]
    assert recurrent.read() == recurrent.fast


@pytest.mark.parametrize(
    ("precision", "device", "expected"),
    [
        ("float32", "cuda", EXACT),
        ("tf32", torch.device("cuda", 1), FAST),
        ("bfloat16", "cuda:0", EXACT),
        ("float32", "cpu", EXACT),
        ("tf32", "cpu", EXACT),
    ],
)
def test_products_are_rounded_as_asked_and_the_settings_come_back(precision, device, expected):
    settings, others = (CUDA, CPU) if torch.device(device).type == "cuda" else (CPU, CUDA)
    before = values(others)
    with products_in(precision, device):
        assert values(settings) == of(settings, expected)
        assert settings == others or values(others) == before  # before torch 2.9 devices share their settings
    with pytest.raises(RuntimeError, match="inside"), products_in(precision, device):
        raise RuntimeError("inside")


def test_a_device_without_settings():
    before = values(CUDA), values(CPU)
    with products_in("tf32", "mps"):
        assert (values(CUDA), values(CPU)) == before


@pytest.mark.parametrize("name", ["high", "medium"])
def test_what_the_caller_had_set_comes_back(name):
    at_first = [(setting, setting.read()) for setting in (*CUDA, *CPU)]
    torch.set_float32_matmul_precision(name)
    try:
        before = values(CUDA), values(CPU), legacy()
        for device, settings in (("cuda", CUDA), ("cpu", CPU)):
            with products_in("float32", device):
                assert values(settings) == of(settings, EXACT)
            assert (values(CUDA), values(CPU), legacy()) == before
    finally:
        torch.set_float32_matmul_precision("highest")
        for setting, value in at_first:
            setting.write(value)


def test_while_one_wants_float32_all_get_it():
    with products_in("tf32", "cuda"):
        with products_in("float32", "cuda"):
            assert values(CUDA) == of(CUDA, EXACT)
            with products_in("tf32", "cuda"):
                assert values(CUDA) == of(CUDA, EXACT)
        assert values(CUDA) == of(CUDA, FAST)


def test_blocks_that_overlap_in_threads():
    inside, leave = threading.Event(), threading.Event()

    def other():
        with products_in("float32", "cuda"):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with products_in("tf32", "cuda"):
        thread.start()
        assert inside.wait(10)
        assert values(CUDA) == of(CUDA, EXACT)
    assert values(CUDA) == of(CUDA, EXACT)  # the other is still there
    leave.set()
    thread.join()  # and the fixture sees that the last has put things back


@restores_settings
def product():
    return (torch.eye(3) @ torch.eye(3)).dtype


@restores_settings
def device_of_a_new_tensor():
    return torch.zeros(1).device.type


def test_a_callers_autocast_is_off_inside():
    matrix = torch.eye(3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (matrix @ matrix).dtype == torch.bfloat16
        assert product() == torch.float32
        assert (matrix @ matrix).dtype == torch.bfloat16


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_autocast_of_other_devices_is_off_inside(kind):
    # As torch.autocast sets it on a machine that has the device.
    torch.set_autocast_enabled(kind, True)
    try:
        assert not restores_settings(torch.is_autocast_enabled)(kind)
        assert torch.is_autocast_enabled(kind)
    finally:
        torch.set_autocast_enabled(kind, False)


def test_a_callers_default_device_does_not_count_inside():
    with torch.device("meta"):
        assert device_of_a_new_tensor() == "cpu"
        assert torch.zeros(1).device.type == "meta"
    torch.set_default_device("meta")
    try:
        assert restores_settings(device_of_a_new_tensor)() == "cpu"
        assert torch.zeros(1).device.type == "meta"
    finally:
        torch.set_default_device(None)


def test_nothing_is_entered_where_nothing_disturbs(monkeypatch):
    monkeypatch.setattr(torch, "autocast", None)
    # A mode would cost every call of torch some time.
    assert restores_settings(torch._C._len_torch_function_stack)() == 0
