"""A trained net as a few values, and back: what travels with a model when its data and its callbacks stay at home."""

import copy
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklstm.persistence import conforms

from ._net import SequenceNet
from ._process import seeded_construction, undisturbed

__all__ = ["OptimizerTable", "check_snapshot", "check_weights", "restore", "take_snapshot"]

#: Name of an optimiser, its class, and the skorch arguments that go with it.
OptimizerTable = dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]]

# Beyond this no one size of a network can lie: a matrix of two of them still has a number of entries in 64 bits.
_LARGEST_SIZE = 1 << 24

_SCALARS = (bool, int, float, str)

_TYPES: dict[str, Any] = {
    "module": dict[str, int | float | str],
    "weights": dict[str, Tensor],
    "history": list[dict[str, list[bool | float | str]]],
    "device": str,
    "optimizer": str,
    "lr": float,
    "weight_decay": float,
    "max_epochs": int,
    "batch_size": int,
}


def take_snapshot(net: SequenceNet, optimizers: OptimizerTable, *, resumable: bool) -> dict[str, Any]:
    """What a trained net is made of; it stays where it is, and shares no memory with the values.

    Parameters
    ----------
    net : SequenceNet
    optimizers : mapping
        The optimisers that a net may have.
    resumable : bool
        Whether to include the state of the optimiser, the random generator and the penalty, so that training can go on.

    Returns
    -------
    dict
        Numbers, strings and tensors in CPU memory. Callbacks, data, penalty and projection are not in it.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklstm import TikhonovLSTMRegressor
    >>> from sklstm.training._snapshot import take_snapshot
    >>> X = np.random.default_rng(0).standard_normal((20, 5, 1))
    >>> net = TikhonovLSTMRegressor(4, max_epochs=2, random_state=0).fit(X, X[:, -1, 0]).net_
    >>> values = take_snapshot(net, {"adam": (torch.optim.Adam, {})}, resumable=False)
    >>> values["module"]["hidden_size"], values["optimizer"], list(values["weights"])[-2:]
    (4, 'adam', ['readout.weight', 'readout.bias'])
    """
    values = {
        "module": dict(net.get_params_for("module")),
        "weights": {name: _on_cpu(tensor) for name, tensor in net.module_.state_dict().items()},
        "history": _columns(net.history),
        "device": device_of(net.module_),
        "optimizer": next((name for name, (kind, _) in optimizers.items() if kind is net.optimizer), ""),
        "lr": net.lr,
        "weight_decay": getattr(net, "optimizer__weight_decay", 0.0),
        "max_epochs": net.max_epochs,
        "batch_size": net.batch_size,
    }
    if resumable:
        values["optimizer_state"] = _on_cpu(net.optimizer_.state_dict())
        values["generator"] = None if net.generator is None else net.generator.get_state()
        values["penalty_state"] = _on_cpu(net.penalty_state_)
    return values


def check_snapshot(values: dict[str, Any], module: type[nn.Module], optimizers: OptimizerTable) -> None:
    """Check values from a file before anything is built of them.

    Parameters
    ----------
    values : dict
        As of `take_snapshot` without ``resumable``.
    module : type of nn.Module
    optimizers : mapping
        As of `take_snapshot`.

    Raises
    ------
    ValueError
        If an entry is missing, unknown or of another type, or the weights are not those of the module.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklstm import TikhonovLSTMRegressor
    >>> from sklstm.networks import LSTMNetwork
    >>> from sklstm.training._snapshot import check_snapshot, take_snapshot
    >>> X = np.random.default_rng(0).standard_normal((20, 5, 1))
    >>> net = TikhonovLSTMRegressor(4, max_epochs=2, random_state=0).fit(X, X[:, -1, 0]).net_
    >>> optimizers = {"adam": (torch.optim.Adam, {})}
    >>> values = take_snapshot(net, optimizers, resumable=False)
    >>> check_snapshot(values, LSTMNetwork, optimizers)  # nothing wrong
    >>> check_snapshot(values | {"optimizer": "lion"}, LSTMNetwork, optimizers)
    Traceback (most recent call last):
        ...
    ValueError: the network has an unknown optimiser
    """
    if set(values) != set(_TYPES):
        raise ValueError(f"the network needs the entries {sorted(_TYPES)} and no others")
    for name, hint in _TYPES.items():
        if not conforms(values[name], hint):
            raise ValueError(f"{name} of the network is not of its type")
    if values["optimizer"] not in ("", *optimizers):
        raise ValueError("the network has an unknown optimiser")
    try:
        torch.device(values["device"])
    except RuntimeError as error:
        raise ValueError(f"the network is on no device: {values['device']!r:.80}") from error
    if any(len({len(column) for column in part.values()}) != 1 for part in values["history"]):
        raise ValueError("the columns of the history differ in length")
    check_weights(values["weights"], module, values["module"])


def check_weights(weights: dict[str, Tensor], module: type[nn.Module], arguments: dict[str, Any]) -> None:
    """Check weights from a file before a network is built.

    Parameters
    ----------
    weights : dict of str to Tensor
        As of a ``state_dict``.
    module : type of nn.Module
        The network.
    arguments : dict
        Of its constructor.

    Raises
    ------
    ValueError
        Unless names, shapes and dtypes of the weights are those of the module with these arguments, and all are finite.

    Examples
    --------
    >>> from sklstm.networks import ReLUNetwork
    >>> from sklstm.training._snapshot import check_weights
    >>> arguments = {"n_features": 1, "hidden_size": 4, "n_outputs": 2}
    >>> weights = dict(ReLUNetwork(**arguments).state_dict())
    >>> check_weights(weights, ReLUNetwork, arguments)  # nothing wrong
    >>> check_weights(weights, ReLUNetwork, arguments | {"n_outputs": 3})
    Traceback (most recent call last):
        ...
    ValueError: the weight 'readout.weight' is float32 (2, 4), but the network has float32 (3, 4) there
    """
    for name, value in arguments.items():
        positive = not isinstance(value, str) and 0 < value < _LARGEST_SIZE
        # Every layer has weights of its own, so that what the file holds limits their number.
        too_many = name == "num_layers" and not (positive and value <= len(weights))
        if not (isinstance(value, str) or positive) or too_many:
            raise ValueError(f"a network cannot have {name}={value!r}")
    try:
        expected = expected_weights(module, arguments)
    except (TypeError, KeyError, RuntimeError, ArithmeticError, ValueError) as error:
        raise ValueError(f"no network has these arguments: {error}") from error
    found = {name: (tensor.shape, tensor.dtype) for name, tensor in weights.items()}
    for name in sorted(set(found) | set(expected)):
        if found.get(name) != expected.get(name):
            raise ValueError(
                f"the weight {name!r:.80} is {_described(found.get(name))}, but the network has "
                f"{_described(expected.get(name))} there"
            )
    if not all(tensor.isfinite().all() for tensor in weights.values()):
        raise ValueError("a weight is NaN or infinite")


def expected_weights(module: type[nn.Module], arguments: dict[str, Any]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    """Shape and dtype of every weight of a module; takes no memory for them."""
    with torch.device("meta"), seeded_construction(0):
        return {name: (tensor.shape, tensor.dtype) for name, tensor in module(**arguments).state_dict().items()}


def restore(
    values: dict[str, Any],
    module: type[nn.Module],
    criterion: type[nn.Module],
    optimizers: OptimizerTable,
    device: str | torch.device,
) -> SequenceNet:
    """The net of a snapshot, on a device; for predictions, and to go on from.

    Parameters
    ----------
    values : dict
        As of `take_snapshot`.
    module, criterion : types of nn.Module
    optimizers : mapping
    device : str or torch.device

    Returns
    -------
    SequenceNet
        Without callbacks, penalty or projection of its own. Without a state in the snapshot, its optimiser is fresh.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklstm import TikhonovLSTMRegressor
    >>> from sklstm.networks import LSTMNetwork
    >>> from sklstm.training._snapshot import restore, take_snapshot
    >>> X = np.random.default_rng(0).standard_normal((20, 5, 1))
    >>> net = TikhonovLSTMRegressor(4, max_epochs=2, random_state=0).fit(X, X[:, -1, 0]).net_
    >>> optimizers = {"adam": (torch.optim.Adam, {})}
    >>> values = take_snapshot(net, optimizers, resumable=False)
    >>> again = restore(values, LSTMNetwork, torch.nn.MSELoss, optimizers, "cpu")
    >>> sequences = torch.as_tensor(X, dtype=torch.float32)
    >>> torch.equal(again.module_(sequences), net.module_(sequences)), len(again.history)
    (True, 2)
    """
    optimizer, options = optimizers[values["optimizer"] or next(iter(optimizers))]
    generator = torch.Generator().manual_seed(0)
    net = SequenceNet(
        module,
        criterion,
        optimizer=optimizer,
        optimizer__weight_decay=values["weight_decay"],
        lr=values["lr"],
        max_epochs=values["max_epochs"],
        batch_size=values["batch_size"],
        train_split=None,
        callbacks="disable",
        device=device,
        generator=generator,
        verbose=0,
        **options,
        **{f"module__{name}": value for name, value in values["module"].items()},
    )
    with undisturbed(), seeded_construction(0), torch.enable_grad():
        net.initialize()
    net.module_.load_state_dict(values["weights"])
    _fill(net.history, values["history"])
    if values["optimizer"] and "optimizer_state" in values:
        net.optimizer_.load_state_dict(copy.deepcopy(values["optimizer_state"]))
    if values.get("generator") is not None:
        generator.set_state(values["generator"])
    net.penalty_state_ = values.get("penalty_state")
    return net


def device_of(module: nn.Module) -> str:
    """Name of the device that a module's parameters are on."""
    return str(next(module.parameters()).device)


def _on_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: _on_cpu(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_on_cpu, value))
    return value


def _columns(history: Any) -> list[dict[str, list[Any]]]:
    """Runs of epochs with the same entries, column by column; of each epoch what is a number or a string."""
    rows = [
        {name: entry.item() if isinstance(entry, np.generic) else entry for name, entry in epoch.items()}
        for epoch in history
    ]
    plain = [{name: entry for name, entry in row.items() if isinstance(entry, _SCALARS)} for row in rows]
    runs = [list(run) for _, run in groupby(plain, key=tuple)]
    return [{name: [row[name] for row in run] for name in run[0]} for run in runs]


def _fill(history: Any, columns: list[dict[str, list[Any]]]) -> None:
    for part in columns:
        for row in zip(*part.values(), strict=True):
            history.new_epoch()
            for name, entry in zip(part, row, strict=True):
                history.record(name, entry)


def _described(weight: tuple[torch.Size, torch.dtype] | None) -> str:
    return "none" if weight is None else f"{str(weight[1]).removeprefix('torch.')} {tuple(weight[0])}"
