"""Going on from a trained net."""

import copy

from ._batches import SequenceDataset
from ._net import SequenceNet

__all__ = ["go_on_from", "normalised"]

# Arguments of the modules that say what function a set of weights stands for; the others concern their start.
_STRUCTURE = ("n_features", "hidden_size", "num_layers", "n_outputs", "readout")


def go_on_from(trained: SequenceNet, net: SequenceNet, *, incremental: bool) -> None:
    """Give an initialised net the weights of a trained one, which stays as it is.

    Parameters
    ----------
    trained : SequenceNet
    net : SequenceNet
    incremental : bool
        Also the state of its optimiser, if it is of the same kind, of its penalty and of its random generator, and its
        history. Learning rate and weight decay stay those of ``net``.

    Raises
    ------
    ValueError
        If the two are not of one structure.

    Examples
    --------
    >>> import torch
    >>> from sklstm.networks import LSTMNetwork
    >>> from sklstm.training import SequenceNet, go_on_from
    >>> sizes = {"module__n_features": 1, "module__hidden_size": 4, "module__n_outputs": 1}
    >>> trained, net = (
    ...     SequenceNet(LSTMNetwork, torch.nn.MSELoss, verbose=0, **sizes).initialize() for _ in range(2)
    ... )
    >>> X = torch.ones(1, 3, 1)
    >>> torch.equal(net.module_(X), trained.module_(X))  # other weights
    False
    >>> go_on_from(trained, net, incremental=False)
    >>> torch.equal(net.module_(X), trained.module_(X))
    True
    """
    old, new = trained.get_params_for("module"), net.get_params_for("module")
    for name in _STRUCTURE:
        if old.get(name) != new.get(name):
            raise ValueError(
                f"Training cannot go on from the fitted network: its {name} is {old.get(name)}, and {new.get(name)} is "
                "asked for now. Fit anew, with warm_start=False."
            )
    net.module_.load_state_dict(trained.module_.state_dict())
    if not incremental:
        return
    net.history = type(trained.history)(dict(epoch) for epoch in trained.history)
    net.generator = copy.deepcopy(trained.generator)
    if trained.penalty_state_ is not None and (load := getattr(net.penalty, "load_state_dict", None)) is not None:
        load(trained.penalty_state_, net.module_)
    if type(trained.optimizer_) is type(net.optimizer_):
        groups = [{**group} for group in net.optimizer_.param_groups]
        # torch's optimisers keep the very tensors that they load.
        net.optimizer_.load_state_dict(copy.deepcopy(trained.optimizer_.state_dict()))
        for group, now in zip(net.optimizer_.param_groups, groups, strict=True):
            group.update({name: now[name] for name in ("lr", "weight_decay")})


def normalised(data: SequenceDataset) -> SequenceDataset:
    """The same with weights of mean 1, so that the loss keeps its scale.

    Parameters
    ----------
    data : SequenceDataset
        Stays as it is.

    Returns
    -------
    SequenceDataset

    Raises
    ------
    ValueError
        If all weights are zero.

    Examples
    --------
    >>> import torch
    >>> from sklstm.training import SequenceDataset, normalised
    >>> data = SequenceDataset(torch.zeros(3, 5, 1), torch.zeros(3), weight=torch.tensor([1.0, 2.0, 3.0]))
    >>> normalised(data).weight
    tensor([0.5000, 1.0000, 1.5000])
    """
    if data.weight is None:
        return data
    mean = data.weight.cpu().double().mean()  # MPS has no float64
    if mean == 0:
        raise ValueError("All sequences of one side of the validation split have a weight of zero.")
    return SequenceDataset(data.X, data.y, (data.weight / mean.item()).float())
