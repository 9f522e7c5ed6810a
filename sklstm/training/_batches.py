"""Batches sliced from whole tensors: no per-sample Python on the way from data to network."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from sklstm.noise import noise_of_kind

from ._placement import to_device
from ._ragged import RaggedTensor, inputs_of
from ._streamed import StreamedTensor

__all__ = ["BatchLoader", "SequenceDataset"]

# Batches from which sequences are sorted by length at a time: enough for batches of nearly equal lengths, few enough
# for other companions in every epoch.
_BUCKET = 16


class SequenceDataset(Dataset):
    """Sequences with their targets and weights.

    Parameters
    ----------
    X : Tensor of shape (n, L, d), RaggedTensor or StreamedTensor
    y : Tensor of shape (n, ...)
    weight : Tensor of shape (n,), optional

    Examples
    --------
    >>> import torch
    >>> from sklstm.training import SequenceDataset
    >>> data = SequenceDataset(torch.zeros(10, 5, 2), torch.arange(10.0), weight=torch.ones(10))
    >>> X, y, weight = data[torch.tensor([3, 1])]
    >>> X.shape, y, len(data)
    (torch.Size([2, 5, 2]), tensor([3., 1.]), 10)
    """

    def __init__(self, X: Tensor | RaggedTensor | StreamedTensor, y: Tensor, weight: Tensor | None = None):
        self.X, self.y, self.weight = X, y, weight

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, index: Any) -> tuple:
        parts = (self.X, self.y) if self.weight is None else (self.X, self.y, self.weight)
        return tuple(part[index] for part in parts)


class BatchLoader:
    r"""Iterates over a `SequenceDataset` in batches; a fresh permutation and fresh noise every epoch.

    A batch is a pair of inputs and targets: inputs (b, L, d), or the keyword arguments of the forward pass if lengths
    differ; targets (b, ...), or a pair of targets and weights. Sequences of unequal length go into batches of nearly
    equal length.

    Parameters
    ----------
    dataset : SequenceDataset
    batch_size : int
    shuffle : bool
    generator : torch.Generator, optional
        Source of the permutation and of the noise; required if either is asked for, so that the global random state
        stays out of it.
    sigma : float
        Standard deviation of the noise on the inputs of every batch (Tu et al. 2020, section 3.3).
    noise : str
        Its kind, a key of ``sklstm.noise.NOISES``.
    device : str or torch.device, optional
        Where batches are wanted; by default where the data lie.

    Examples
    --------
    >>> import torch
    >>> from sklstm.training import BatchLoader, SequenceDataset
    >>> data = SequenceDataset(torch.zeros(10, 5, 2), torch.arange(10.0))
    >>> loader = BatchLoader(data, 4, shuffle=True, generator=torch.Generator().manual_seed(0), sigma=0.1)
    >>> [tuple(X.shape) for X, y in loader]
    [(4, 5, 2), (4, 5, 2), (2, 5, 2)]
    >>> sorted(torch.cat([y for X, y in loader]).tolist()) == data.y.tolist()  # every sequence once
    True
    """

    def __init__(
        self,
        dataset: SequenceDataset,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        sigma: float = 0.0,
        noise: str = "gaussian",
        device: str | torch.device | None = None,
    ):
        self.dataset, self.batch_size, self.shuffle, self.device = dataset, batch_size, shuffle, device
        self.generator, self.sigma, self.noise = generator, sigma, noise_of_kind(noise)

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        data = self.dataset
        for part, inputs in self._inputs():
            inputs = self._placed(inputs)
            if self.sigma > 0:  # once they are on the device: the sum must not depend on where the data lie
                inputs["X"] = inputs["X"] + self.noise.draw_tensor(inputs["X"], self.sigma, self.generator)
            targets = data.y[part] if data.weight is None else (data.y[part], data.weight[part])
            yield inputs["X"] if len(inputs) == 1 else inputs, self._placed(targets)

    def _placed(self, batch: Any) -> Any:
        return batch if self.device is None else to_device(batch, self.device)

    def _inputs(self) -> Iterator[tuple[Tensor, Any]]:
        """Places of the sequences of each batch, and what the network takes for them."""
        X = self.dataset.X
        if isinstance(X, StreamedTensor):
            yield from ((part, {"X": batch}) for part, batch in X.batches(self._parts(), self.batch_size))
            return
        yield from ((part, inputs_of(X, part)) for part in self._parts())

    def _parts(self) -> Iterator[Tensor]:
        n, X = len(self.dataset), self.dataset.X
        # Permute on the CPU whatever the device: the order must not depend on where the data lives.
        order = torch.randperm(n, generator=self.generator) if self.shuffle else torch.arange(n)
        if not isinstance(X, RaggedTensor):
            yield from order.to(X.device).split(self.batch_size)
            return
        buckets = order.split(_BUCKET * self.batch_size) if self.shuffle else (order,)
        parts = [
            part
            for bucket in buckets
            for part in bucket[torch.argsort(X.lengths[bucket], stable=True)].split(self.batch_size)
        ]
        turns = torch.randperm(len(parts), generator=self.generator) if self.shuffle else torch.arange(len(parts))
        for turn in turns.tolist():
            yield parts[turn].to(X.device)
