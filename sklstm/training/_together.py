"""Training of several nets: as one program where that can be done."""

import time
from collections.abc import Sequence

from sklstm.exceptions import DivergenceError

from ._batches import SequenceDataset
from ._events import StopTraining
from ._net import SequenceNet
from ._stack import Stack

__all__ = ["train_together"]


def train_together(
    nets: Sequence[SequenceNet], datasets: Sequence[SequenceDataset], n_epochs: int | None = None
) -> list[DivergenceError | None]:
    """Train nets as each ``net.train(data, n_epochs)`` would, all of them in one batched program.

    A net whose training diverges, or is stopped by a callback, leaves the others alone. The numbers are those of the
    nets trained one by one up to rounding, and up to the errors of the penalty's norms, which are exact in other calls.

    Parameters
    ----------
    nets : sequence of SequenceNet
        Initialised; see `can_be_stacked`.
    datasets : sequence of SequenceDataset
        Of each.
    n_epochs : int, optional
        As of `SequenceNet.train`.

    Returns
    -------
    list of DivergenceError or None
        What ended the training of each net early.

    Examples
    --------
    >>> import torch
    >>> from sklstm.networks import LSTMNetwork
    >>> from sklstm.training import SequenceDataset, SequenceNet, seeded_construction, train_together
    >>> X = torch.randn((60, 5, 1), generator=torch.Generator().manual_seed(0))
    >>> data = SequenceDataset(X, X[:, -1])
    >>> sizes = {"module__n_features": 1, "module__hidden_size": 4, "module__n_outputs": 1}
    >>> options = {"max_epochs": 3, "train_split": None, "verbose": 0}
    >>> def make_net():
    ...     net = SequenceNet(
    ...         LSTMNetwork, torch.nn.MSELoss, generator=torch.Generator().manual_seed(0), **sizes, **options
    ...     )
    ...     with seeded_construction(0):
    ...         return net.initialize()
    >>> nets = [make_net(), make_net().set_params(lr=0.1)]
    >>> train_together(nets, [data, data])  # no errors
    [None, None]
    >>> alone = make_net().train(data)
    >>> torch.allclose(nets[0].module_(X), alone.module_(X), atol=1e-5)
    True
    """
    errors: list[DivergenceError | None] = [None] * len(nets)
    running = list(range(len(nets)))
    over = set(running)
    try:
        for index, net in enumerate(nets):
            net.notify("on_train_begin", X=datasets[index], y=None)
        epochs = {index: nets[index].epochs_until(n_epochs) for index in running}
        done = 0
        while active := [index for index in running if done < epochs[index]]:
            stack = Stack([nets[index] for index in active], [datasets[index] for index in active])
            places = {id(nets[index]): index for index in active}
            left: set[int] = set()
            try:
                while not left and done < min(epochs[index] for index in active):
                    left = _epoch(stack, datasets, places, errors)
                    done += 1
            finally:
                stack.release()
            running = [index for index in running if index not in left]
        for index, net in enumerate(nets):
            over.discard(index)
            _finish(net, datasets[index], errors, index)
    except BaseException as error:
        for index in over:
            nets[index].notify("on_train_over", error=error)
        raise
    finally:
        for net in nets:
            net.leave()
    return errors


def _epoch(
    stack: Stack, datasets: Sequence[SequenceDataset], places: dict[int, int], errors: list[DivergenceError | None]
) -> set[int]:
    """One epoch of all nets; the places of those whose training it has ended."""
    parts = [net.get_split_datasets(datasets[places[id(net)]]) for net in stack.nets]
    for net, (training, validation) in zip(stack.nets, parts, strict=True):
        net.notify("on_epoch_begin", dataset_train=training, dataset_valid=validation)
    started = time.perf_counter()
    losses, penalties = stack.run_epoch()
    seconds = (time.perf_counter() - started) / len(stack.nets)
    norm_error = None if stack.penalty is None else stack.penalty.largest_error
    ended = set()
    for net, (training, validation), loss, penalty in zip(stack.nets, parts, losses, penalties, strict=True):
        net.record_training(loss, penalty, norm_error, seconds)
        if validation is not None:
            net.run_single_epoch(
                net.get_iterator(validation), training=False, prefix="valid", step_fn=net.validation_step
            )
        try:
            net.notify("on_epoch_end", dataset_train=training, dataset_valid=validation)
        except StopTraining:
            ended.add(places[id(net)])
        except DivergenceError as error:
            ended.add(places[id(net)])
            errors[places[id(net)]] = error
    return ended


def _finish(net: SequenceNet, data: SequenceDataset, errors: list[DivergenceError | None], index: int) -> None:
    try:
        if errors[index] is None:
            net.notify("on_train_end", X=data, y=None)
        net.notify("on_train_over", error=errors[index])
    except DivergenceError as error:
        errors[index] = error
