import functools
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from sklstm.training import InputNoise, SequenceDataset, SequenceNet
from sklstm.training._callbacks import EarlyStopping
from sklstm.training._fingerprint import _Hasher, fingerprint_of_training
from sklstm.training._process import seeded_construction


def digest(value):
    hasher = _Hasher()
    hasher.feed(value)
    return hasher.hexdigest()


class Plain:
    def __init__(self, **attributes):
        vars(self).update(attributes)


class Other(Plain):
    pass


def adder(number):
    return lambda value: value + number


# No two of them are the same to a training.
VALUES = [
    None,
    True,
    1,
    1.0,
    0.0,
    -0.0,
    np.float32(1),
    "1",
    b"1",
    "",
    [],
    (),
    {},
    [1, [2]],
    [1, 2],
    [[1], 2],
    [[], []],
    ["ab", "c"],
    ["a", "bc"],
    {"a": 1, "b": 2},
    {"a": 2, "b": 1},
    {1: "a"},
    {"1": "a"},
    {1, 2},
    torch.zeros(2, 3),
    torch.zeros(3, 2),
    torch.zeros(6),
    torch.zeros(6, dtype=torch.float64),
    torch.zeros(6, dtype=torch.int32),
    torch.tensor(0.0),
    torch.tensor([0.0, -0.0, 0, 0, 0, 0]),
    np.zeros(6, np.float32),
    np.zeros(6),
    np.array([[1, 2], [3]], dtype=object),
    torch.Generator().manual_seed(0),
    torch.Generator().manual_seed(1),
    nn.MSELoss,
    nn.MSELoss(),
    nn.MSELoss(reduction="sum"),
    nn.CrossEntropyLoss(),
    nn.CrossEntropyLoss(weight=torch.ones(2)),
    functools.partial(adder, 1),
    functools.partial(adder, number=1),
    functools.partial(adder, 2),
    adder,
    adder(1),
    adder(2),
    lambda value: value + 1,
    lambda value: value + 2,
    Plain(a=1).__init__,
    Plain(),
    Plain(a=1),
    Plain(a=2),
    Other(a=1),
    Plain(inner=Plain(a=1)),
    np,
    range(3),
    range(4),
]


def test_values_that_differ_have_hashes_that_differ():
    assert len({digest(value) for value in VALUES}) == len(VALUES)


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"x", "y", "z"}, {"z", "y", "x"}),
        (torch.arange(6).reshape(2, 3).T, torch.tensor([[0, 3], [1, 4], [2, 5]])),
        (np.arange(6).reshape(2, 3).T, np.array([[0, 3], [1, 4], [2, 5]])),
        (["a" * 2, "aa"], [s := "aa", s]),
        (Plain(a=[1.5]), Plain(a=[1.5])),
        (adder(1), adder(1)),
    ],
)
def test_the_way_a_value_came_about_does_not_matter(one, same):
    assert digest(one) == digest(same)


def test_cycles_end():
    def cycle(name):
        first, second = Plain(name=name), Plain()
        first.other, second.other = second, first
        return first

    assert digest(cycle("a")) == digest(cycle("a")) != digest(cycle("b"))


def test_what_cannot_be_told_apart_is_refused():
    with pytest.raises(TypeError, match=r"generator.*cannot be pickled.*Leave out the Checkpoint"):
        digest(value for value in "ab")


def test_the_hash_is_the_same_in_another_process():
    code = (
        "from sklstm.training._fingerprint import _Hasher; import torch\n"
        "hasher = _Hasher(); hasher.feed([{'b': {'x', 'y', 'z'}, 'a': 0.1}, torch.arange(3), torch.nn.MSELoss()])\n"
        "print(hasher.hexdigest())"
    )
    value = [{"a": 0.1, "b": {"z", "x", "y"}}, torch.arange(3), nn.MSELoss()]
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == digest(value)


def make_net(**options):
    settings = {"max_epochs": 3, "batch_size": 8, "lr": 0.1, "callbacks": []} | options
    net = SequenceNet(
        nn.Linear,
        nn.MSELoss,
        train_split=None,
        verbose=0,
        module__in_features=2,
        module__out_features=1,
        generator=torch.Generator().manual_seed(0),
        **settings,
    )
    with seeded_construction(0):
        return net.initialize()


def test_training_is_described_by_all_that_it_starts_from():
    data = SequenceDataset(torch.ones(4, 2), torch.ones(4, 1))

    def change_weight(net):
        with torch.no_grad():
            net.module_.bias += 1

    changed = [make_net(max_epochs=4), make_net(lr=0.2), make_net(penalty=adder(1)), make_net(projection=adder(1))]
    changed += [
        make_net(callbacks=[EarlyStopping(2)]),
        make_net(callbacks=[EarlyStopping(3)]),
        make_net(inputs=InputNoise(0.1)),
    ]
    for change in (
        change_weight,
        lambda net: net.generator.manual_seed(1),
        lambda net: net.optimizer_.param_groups[0].update(momentum=0.5),
        lambda net: net.history.new_epoch(),
    ):
        changed.append(make_net())
        change(changed[-1])
    hashes = [fingerprint_of_training(net, data) for net in [make_net(), *changed]]
    hashes.append(fingerprint_of_training(make_net(), SequenceDataset(data.X, 2 * data.y)))
    assert len(set(hashes)) == len(changed) + 2
    assert fingerprint_of_training(make_net(), data) == hashes[0]
    assert fingerprint_of_training(make_net(callbacks=[EarlyStopping(2)]), data) in hashes
    trained = make_net(callbacks=[EarlyStopping(2)])
    trained.callbacks_[0][1].seen_ = 3  # the state of a callback is no parameter of it
    assert fingerprint_of_training(trained, data) in hashes
    data.known["ridge", 3] = np.ones(3)  # what an earlier fit on the same data has computed
    assert fingerprint_of_training(make_net(), data) == hashes[0]
    for other in ("X", "y", "weight"):
        parts = {"X": data.X, "y": data.y, "weight": torch.ones(4)} | {other: torch.full((4, 2), 2.0)}
        assert fingerprint_of_training(make_net(), SequenceDataset(**parts)) not in hashes
