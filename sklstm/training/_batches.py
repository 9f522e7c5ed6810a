"""Data on their way to the network: where they are stored, how batches are formed, how inputs are changed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from sklstm._sequences import Sequences
from sklstm.noise import noise_of_kind

# Sequences are sorted by length within this many batches. This is enough for batches of nearly equal lengths, and few
# enough for different batches in every epoch.
_BUCKET = 16

# Share of a device's free memory that data may take: activations, gradients and cuDNN's workspaces need the rest.
_SHARE = 0.5


def resolve_device(device: str | torch.device) -> str | torch.device:
    """The device to use: for ``"auto"`` CUDA if it works here, else MPS, else the CPU; any other unchanged.

    Parameters
    ----------
    device : str or torch.device

    Returns
    -------
    str or torch.device

    Examples
    --------
    >>> from sklstm.training._batches import resolve_device
    >>> resolve_device("cpu")
    'cpu'
    >>> resolve_device("auto") in ("cuda", "mps", "cpu")
    True
    """
    if device != "auto":
        return device
    # In a process forked from one that had used CUDA, even the query would be an error.
    if not torch.cuda._is_in_bad_fork() and torch.cuda.is_available() and _works("cuda"):
        return "cuda"
    return "mps" if torch.backends.mps.is_available() and _works("mps") else "cpu"


def _works(device: str) -> bool:
    """Whether a device that torch sees also computes: its card may be full, in use, or too old for torch's kernels."""
    try:
        return torch.zeros(1, device=device).add(1).item() == 1
    except (RuntimeError, AssertionError):
        return False


def fits(n_bytes: int, device: str | torch.device) -> bool:
    """Whether data should be stored on a device as a whole.

    Parameters
    ----------
    n_bytes : int
        Size of the data.
    device : str or torch.device

    Returns
    -------
    bool
        Whether they take at most half of the device's free memory; always True on a CPU, where they already are.

    Examples
    --------
    >>> from sklstm.training._batches import fits
    >>> fits(10**15, "cpu")  # where it is already
    True
    """
    device = torch.device(device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # Memory that torch has got from the driver and not used is free too.
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    elif device.type == "mps":
        free = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    else:
        return True
    return n_bytes <= _SHARE * free


def place_for(X: Sequences, device: str | torch.device) -> str | torch.device:
    """Where the tensors of a computation on a device should be: there if they fit, else on the CPU, as files are.

    Parameters
    ----------
    X : Sequences
    device : str or torch.device

    Returns
    -------
    str or torch.device
    """
    return "cpu" if X.is_mapped else device if fits(4 * X.n_numbers, device) else "cpu"


def to_device(batch: Any, device: str | torch.device) -> Any:
    """A tensor, or a mapping or tuple of tensors, on a device; unchanged if it is already there.

    Parameters
    ----------
    batch : Tensor, or mapping or tuple of Tensor
    device : str or torch.device

    Returns
    -------
    The same with its tensors on the device.

    Notes
    -----
    On the way to CUDA a batch is first copied into pinned memory, from where it moves while the device computes. Rows
    gathered from a pinned tensor would not be pinned, so the batch must be. Pages of the whole data can still be
    swapped by the system.

    Examples
    --------
    >>> import torch
    >>> from sklstm.training._batches import to_device
    >>> batch = {"X": torch.zeros(4, 5, 2), "lengths": torch.tensor([5, 4, 3, 2])}
    >>> to_device(batch, "cpu")["X"] is batch["X"]
    True
    >>> to_device(batch, "meta")["lengths"].device
    device(type='meta')
    """
    if isinstance(batch, Mapping):
        return {name: to_device(part, device) for name, part in batch.items()}
    if isinstance(batch, tuple):
        return tuple(to_device(part, device) for part in batch)
    return _moved(batch, torch.device(device))


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    if tensor.device.type == device.type and device.index in (None, tensor.device.index):
        return tensor
    if tensor.device.type == "cpu" and device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


class SequenceDataset(Dataset):
    """Sequences with their targets and weights.

    Parameters
    ----------
    X : Sequences, or Tensor of shape (n, L, d)
    y : Tensor of shape (n, ...)
    weight : Tensor of shape (n,), optional

    Examples
    --------
    >>> import torch
    >>> from sklstm.training import SequenceDataset
    >>> data = SequenceDataset(torch.zeros(10, 5, 2), torch.arange(10.0), weight=torch.ones(10))
    >>> some = data.part(torch.tensor([3, 1]))
    >>> some.X.shape, some.y, len(data)
    ((2, 5, 2), tensor([3., 1.]), 10)
    """

    def __init__(self, X: Sequences | Tensor, y: Tensor, weight: Tensor | None = None):
        self.X = Sequences.of(X)
        self.y, self.weight = y, weight
        self.known: dict[Any, Any] = {}  # what trainings have computed of the data, for others on the same

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, index: Any) -> tuple:
        parts = (self.X, self.y) if self.weight is None else (self.X, self.y, self.weight)
        return tuple(part[index] for part in parts)

    def part(self, rows: Tensor) -> "SequenceDataset":
        """Some of the sequences with their targets and weights.

        Parameters
        ----------
        rows : Tensor of int64 of shape (m,)

        Returns
        -------
        SequenceDataset
        """
        return SequenceDataset(*self[rows.to(self.X.device)])

    def loaded(self) -> "SequenceDataset":
        """The same with its sequences as a tensor, unless they are in a file.

        Returns
        -------
        SequenceDataset
        """
        X = self.X.loaded()
        return self if X is self.X else SequenceDataset(X, self.y, self.weight)


def normalised(data: SequenceDataset) -> SequenceDataset:
    """The same with weights of mean 1, so that the loss keeps its scale.

    Parameters
    ----------
    data : SequenceDataset
        A data set; it is not changed.

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
    >>> from sklstm.training import SequenceDataset
    >>> from sklstm.training._batches import normalised
    >>> X = Sequences(torch.zeros(3, 5, 1))
    >>> data = SequenceDataset(X, torch.zeros(3), weight=torch.tensor([1.0, 2.0, 3.0]))
    >>> normalised(data).weight
    tensor([0.5000, 1.0000, 1.5000])
    """
    if data.weight is None:
        return data
    mean = data.weight.cpu().double().mean()  # MPS has no float64
    if mean == 0:
        raise ValueError(
            "All sequences of one side of the validation split have a weight of zero. Give some of them a positive "
            "weight."
        )
    return SequenceDataset(data.X, data.y, (data.weight / mean.item()).float())


class InputRule(Protocol):
    """A change of the inputs of a training batch before they reach the network."""

    def __call__(self, X: Tensor, generator: torch.Generator | None) -> Tensor:
        """From the inputs (b, L, d) of one batch to those that the network is trained on; a new tensor."""
        ...


@dataclass(frozen=True)
class InputNoise:
    r"""Fresh noise on every training batch (Tu et al. 2020, section 3.3).

    Parameters
    ----------
    sigma : float
        Standard deviation, positive.
    kind : str
        A key of ``sklstm.noise.NOISES``.

    Examples
    --------
    >>> import torch
    >>> from sklstm.training import InputNoise
    >>> X = torch.zeros(100, 5, 2)
    >>> noisy = InputNoise(sigma=0.5)(X, torch.Generator().manual_seed(0))
    >>> round(noisy.std().item(), 1)
    0.5
    """

    sigma: float
    kind: str = "gaussian"

    def __call__(self, X: Tensor, generator: torch.Generator | None) -> Tensor:
        return X + noise_of_kind(self.kind).draw_tensor(X, self.sigma, generator)


class BatchLoader:
    r"""Iterates over a `SequenceDataset` in batches; a fresh permutation every epoch.

    An epoch has as few batches as ``batch_size`` allows, and their sizes differ by at most one. A batch is a pair of
    inputs and targets. Inputs are (b, L, d), or the keyword arguments of the forward pass if lengths differ. Targets
    are (b, ...), or a pair of targets and weights. Sequences of unequal length go into batches of nearly equal length.

    Parameters
    ----------
    dataset : SequenceDataset
    batch_size : int
    shuffle : bool
    generator : torch.Generator, optional
        Source of the permutation and of the rule's random numbers. Required if either is used, so that the global
        random state does not change.
    rule : InputRule, optional
        Change of the inputs of every batch.
    device : str or torch.device, optional
        Device of the batches; by default that of the data.

    Examples
    --------
    >>> import torch
    >>> from sklstm.training import InputNoise, SequenceDataset
    >>> from sklstm.training._batches import BatchLoader
    >>> data = SequenceDataset(torch.zeros(10, 5, 2), torch.arange(10.0))
    >>> generator = torch.Generator().manual_seed(0)
    >>> loader = BatchLoader(data, 4, shuffle=True, generator=generator, rule=InputNoise(0.1))
    >>> [tuple(X.shape) for X, y in loader]
    [(4, 5, 2), (3, 5, 2), (3, 5, 2)]
    >>> sorted(torch.cat([y for X, y in loader]).tolist()) == data.y.tolist()  # every sequence once
    True
    """

    def __init__(
        self,
        dataset: SequenceDataset,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        rule: InputRule | None = None,
        device: str | torch.device | None = None,
    ):
        self.dataset, self.batch_size, self.shuffle, self.device = dataset, batch_size, shuffle, device
        self.generator, self.rule = generator, rule

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        data = self.dataset
        for part, inputs in data.X.batches(self._parts(), self.batch_size):
            inputs = self._placed(inputs)
            if self.rule is not None:  # on the device already: the sum must not depend on where the data are stored
                inputs["X"] = self.rule(inputs["X"], self.generator)
            targets = data.y[part] if data.weight is None else (data.y[part], data.weight[part])
            yield inputs["X"] if len(inputs) == 1 else inputs, self._placed(targets)

    def _placed(self, batch: Any) -> Any:
        return batch if self.device is None else to_device(batch, self.device)

    def _parts(self) -> Iterator[Tensor]:
        n, X = len(self.dataset), self.dataset.X
        # Permute on the CPU for any device: the order must not depend on where the data are stored.
        order = torch.randperm(n, generator=self.generator) if self.shuffle else torch.arange(n)
        # Of nearly equal size: a step for the three remaining sequences would be as long as the others.
        sizes = [len(part) for part in torch.tensor_split(order, len(self))]
        if X.lengths is None:
            yield from order.to(X.device).split(sizes)
            return
        bucket = _BUCKET if self.shuffle else len(sizes)
        lengths = torch.from_numpy(X.lengths)
        parts: list[Tensor] = []
        for first in range(0, len(sizes), bucket):
            mine = sizes[first : first + bucket]
            rows, order = order.split((sum(mine), len(order) - sum(mine)))
            parts.extend(rows[torch.argsort(lengths[rows], stable=True)].split(mine))
        turns = torch.randperm(len(parts), generator=self.generator) if self.shuffle else torch.arange(len(parts))
        for turn in turns.tolist():
            yield parts[turn].to(X.device)
