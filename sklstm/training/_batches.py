"""Batches sliced from whole tensors: no per-sample Python on the way from data to network."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Dataset

from sklstm.noise import noise_of_kind

__all__ = ["BatchLoader", "SequenceDataset"]


class SequenceDataset(Dataset):
    """Sequences (n, L, d) with their targets, both tensors of the same length."""

    def __init__(self, X: Tensor, y: Tensor):
        self.X, self.y = X, y

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, index):
        return self.X[index], self.y[index]


class BatchLoader:
    r"""Iterates over a `SequenceDataset` in batches; a fresh permutation and fresh noise every epoch.

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
    """

    def __init__(
        self,
        dataset: SequenceDataset,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        sigma: float = 0.0,
        noise: str = "gaussian",
    ):
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, shuffle
        self.generator, self.sigma, self.noise = generator, sigma, noise_of_kind(noise)

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        X, y = self.dataset.X, self.dataset.y
        # Permute on the CPU whatever the device: the order must not depend on where the data lives.
        order = torch.randperm(len(X), generator=self.generator) if self.shuffle else torch.arange(len(X))
        for part in order.to(X.device).split(self.batch_size):
            inputs, targets = X[part], y[part]
            if self.sigma > 0:
                inputs = inputs + self.noise.draw_tensor(inputs, self.sigma, self.generator)
            yield inputs, targets
