"""A trained net as plain values, and the reverse, without data and callbacks."""

import copy
import typing
from collections.abc import Callable
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklstm.persistence._class_forms import conforms

from ._net import SequenceNet
from ._process import seeded_construction

#: Name of an optimiser, its class, and its skorch arguments.
OptimizerTable = dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]]

# The largest size of a network: a matrix of two of them still has a number of entries in 64 bits.
_LARGEST_SIZE = 1 << 24
# torch compares the name of each weight of a stack with those of all before it.
_MOST_LAYERS = 1024
# Arguments for device and number type of a network; a file cannot set them.
_OF_THE_MACHINE = {"device", "dtype", "return"}

_SCALARS = (bool, int, float, str)

_TYPES: dict[str, Any] = {
    "module": dict[str, int | float | str | tuple[int, ...]],
    "weights": dict[str, Tensor],
    "history": list[dict[str, list]],
    "device": str,
    "optimizer": str,
    "lr": float,
    "weight_decay": float,
    "max_epochs": int,
    "batch_size": int,
}


def take_snapshot(net: SequenceNet, optimizers: OptimizerTable, *, resumable: bool) -> dict[str, Any]:
    """Plain values of a trained net; they share no memory with it.

    Parameters
    ----------
    net : SequenceNet
    optimizers : mapping
        The optimisers that a net may have.
    resumable : bool
        Whether to include the state of the optimiser, the random generator and the penalty, so that training can
        continue.

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
    (4, 'adam', ['readout.bias', 'linear_part.values'])
    """
    values = {
        "module": dict(net.get_params_for("module")),
        "weights": {name: _on_cpu(tensor) for name, tensor in net.module_.state_dict().items()},
        "history": columns_of(net.history, _SCALARS),
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
    """Check values from a file before anything is built from them.

    Parameters
    ----------
    values : dict
        As from `take_snapshot` without ``resumable``.
    module : type of nn.Module
    optimizers : mapping
        As in `take_snapshot`.

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
        raise ValueError(f"the network is on no device: {values['device'][:80]!r}") from error
    check_history(values["history"])
    if not conforms(values["history"], list[dict[str, list[bool | float | str]]]):
        raise ValueError("the history holds something else than numbers and strings")
    check_weights(values["weights"], module, values["module"])


def check_weights(weights: dict[str, Tensor], module: type[nn.Module], arguments: dict[str, Any]) -> None:
    """Check weights from a file before a network is built.

    Parameters
    ----------
    weights : dict of str to Tensor
        As from a ``state_dict``.
    module : type of nn.Module
        The network.
    arguments : dict
        Arguments of its constructor.

    Raises
    ------
    ValueError
        Unless names, shapes and dtypes of the weights are those of the module with these arguments, and all are finite.

    Examples
    --------
    >>> from sklstm.networks import RNNNetwork
    >>> from sklstm.training._snapshot import check_weights
    >>> arguments = {"n_features": 1, "hidden_size": 4, "n_outputs": 2}
    >>> weights = dict(RNNNetwork(**arguments).state_dict())
    >>> check_weights(weights, RNNNetwork, arguments)  # nothing wrong
    >>> check_weights(weights, RNNNetwork, arguments | {"n_outputs": 3})
    Traceback (most recent call last):
        ...
    ValueError: the weight 'readout.weight' is float32 (2, 4), but the network has float32 (3, 4) there
    """
    hints = typing.get_type_hints(module.__init__)
    for name, value in arguments.items():
        if name not in hints or name in _OF_THE_MACHINE or not conforms(value, hints[name]):
            raise ValueError(f"no network has these arguments: {name[:80]}={value!r:.80}")
        # Every layer has its own weights, so that the content of the file limits their number.
        too_many = name == "num_layers" and value > min(len(weights), _MOST_LAYERS)
        if not (isinstance(value, str | tuple) or 0 < value < _LARGEST_SIZE) or too_many:
            raise ValueError(f"a network cannot have {name}={value!r}")
    try:
        expected = expected_weights(module, arguments)
    except (TypeError, KeyError, RuntimeError, ArithmeticError, ValueError) as error:
        raise ValueError(f"no network has these arguments: {error}") from error
    compare_weights(weights, expected)


def expected_weights(module: type[nn.Module], arguments: dict[str, Any]) -> dict[str, Tensor]:
    """Weights of a module on torch's device "meta": shapes and dtypes, without memory for the values."""
    return dict(module(**arguments, device="meta").state_dict())


def compare_weights(weights: Any, expected: Any) -> None:
    """Compare tensors from a file with others of the required names, shapes and dtypes.

    Parameters
    ----------
    weights, expected : mapping of str to Tensor

    Raises
    ------
    ValueError
        If they differ in one of these, or a weight is not finite.
    """
    if not conforms(weights, dict[str, Tensor]):
        raise ValueError("the weights are no tensors by name")
    found, wanted = (
        {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()} for tensors in (weights, expected)
    )
    for name in sorted(set(found) | set(wanted)):
        if found.get(name) != wanted.get(name):
            raise ValueError(
                f"the weight {name[:80]!r} is {_described(found.get(name))}, but the network has "
                f"{_described(wanted.get(name))} there"
            )
    if not all(tensor.isfinite().all() for tensor in weights.values()):
        raise ValueError("a weight is NaN or infinite")


def check_history(columns: Any) -> int:
    """Check a history from a file, before a dict is made for every epoch.

    Parameters
    ----------
    columns : object
        As returned by `columns_of`: every epoch must have its training loss, which takes space in the file.

    Returns
    -------
    int
        Number of epochs.

    Raises
    ------
    ValueError
        If it is not such a history.
    """
    if not conforms(columns, list[dict[str, list]]):
        raise ValueError("the history is no list of columns")
    for part in columns:
        if len({len(column) for column in part.values()}) != 1:
            raise ValueError("the columns of the history differ in length")
        if not conforms(part.get("train_loss"), list[float]):
            raise ValueError("an epoch of the history has no training loss")
    return sum(len(part["train_loss"]) for part in columns)


def restore(
    values: dict[str, Any],
    module: type[nn.Module],
    criterion: Callable[..., nn.Module],
    optimizers: OptimizerTable,
    device: str | torch.device,
) -> SequenceNet:
    """The net of a snapshot, on a device, for predictions and for continued training.

    Parameters
    ----------
    values : dict
        As in `take_snapshot`.
    module : type of nn.Module
    criterion : callable
        ``reduction -> nn.Module``, as in `TrainingSpec`.
    optimizers : mapping
    device : str or torch.device

    Returns
    -------
    SequenceNet
        A net without its own callbacks, penalty or projection. Without a state in the snapshot, its optimiser is fresh.

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
    with seeded_construction(0), torch.enable_grad():
        net.initialize()
    net.module_.load_state_dict(values["weights"])
    append_epochs(net.history, values["history"])
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


def columns_of(history: Any, kinds: tuple[type, ...]) -> list[dict[str, list[Any]]]:
    """Runs of epochs with the same entries, column by column; the records of batches are left out.

    Parameters
    ----------
    history : list of dict
    kinds : tuple of type
        Types of the entries to keep.
    """
    rows = [
        {name: entry.item() if isinstance(entry, np.generic) else entry for name, entry in epoch.items()}
        for epoch in history
    ]
    kept = [
        {name: entry for name, entry in row.items() if name != "batches" and isinstance(entry, kinds)} for row in rows
    ]
    runs = [list(run) for _, run in groupby(kept, key=tuple)]
    return [{name: [row[name] for row in run] for name in run[0]} for run in runs]


def append_epochs(history: Any, columns: list[dict[str, list[Any]]]) -> None:
    """Put the epochs of `columns_of` at the end of a skorch history."""
    for part in columns:
        for row in zip(*part.values(), strict=True):
            history.new_epoch()
            for name, entry in zip(part, row, strict=True):
                history.record(name, entry)


def _described(weight: tuple[torch.Size, torch.dtype] | None) -> str:
    return "none" if weight is None else f"{str(weight[1]).removeprefix('torch.')} {tuple(weight[0])}"
