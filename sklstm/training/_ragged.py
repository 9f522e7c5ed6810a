"""Sequences of unequal length as tensors, and what a network is given of them."""

import torch
from torch import Tensor

from ._streamed import StreamedTensor

__all__ = ["RaggedTensor", "inputs_of"]


class RaggedTensor:
    """Sequences of unequal length, one after the other in one tensor.

    Parameters
    ----------
    values : Tensor of shape (sum of lengths, d)
        The steps of all sequences.
    lengths : Tensor of int64 of shape (n,), on the CPU
        All at least 1.

    Examples
    --------
    Two sequences, of two steps and of one:

    >>> import torch
    >>> from sklstm.training import RaggedTensor
    >>> X = RaggedTensor(torch.tensor([[1.0], [2.0], [3.0]]), lengths=torch.tensor([2, 1]))
    >>> batch = X.batch(torch.tensor([1, 0]))
    >>> batch["X"][:, :, 0], batch["lengths"]
    (tensor([[3., 0.],
            [1., 2.]]), tensor([1, 2]))
    """

    def __init__(self, values: Tensor, lengths: Tensor):
        self.values, self.lengths = values, lengths
        self.offsets = torch.cumsum(lengths, dim=0) - lengths

    @property
    def device(self) -> torch.device:
        """Where the values lie."""
        return self.values.device

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, rows: Tensor) -> "RaggedTensor":
        rows = rows.cpu()
        lengths = self.lengths[rows]
        starts = torch.repeat_interleave(self.offsets[rows] - (torch.cumsum(lengths, dim=0) - lengths), lengths)
        return RaggedTensor(self.values[(starts + torch.arange(len(starts))).to(self.device)], lengths)

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """What the network takes for some sequences.

        Parameters
        ----------
        rows : Tensor of int64 of shape (b,)
            Their places.

        Returns
        -------
        dict of str to Tensor
            Keyword arguments of the forward pass: ``X`` (b, L, d), filled up with zeros at the end, and ``lengths``
            (b,) only if these differ.

        Notes
        -----
        Padding costs less than packing: forward and backward of an LSTM, GRU and ReLU layer with 64 sequences of 20 to
        24 steps and 16 units take 0.88, 2.95 and 0.99 ms on one thread; packed 3.7, 3.6 and 1.1 ms.
        """
        rows = rows.cpu()
        lengths = self.lengths[rows]
        longest = int(lengths.max())
        steps = torch.arange(longest)
        inside = steps < lengths[:, None]  # (b, longest)
        places = torch.where(inside, self.offsets[rows, None] + steps, 0).to(self.device)
        X = self.values[places] * inside.to(self.device)[:, :, None]
        return {"X": X} if bool(inside.all()) else {"X": X, "lengths": lengths.to(self.device)}


def inputs_of(X: Tensor | RaggedTensor | StreamedTensor, rows: Tensor) -> dict[str, Tensor]:
    """Keyword arguments of a network's forward pass for some sequences.

    Parameters
    ----------
    X : Tensor of shape (n, L, d), RaggedTensor or StreamedTensor
    rows : Tensor of int64 of shape (b,)
        Places of the sequences in X.

    Returns
    -------
    dict of str to Tensor
        ``X``, and ``lengths`` if these differ.

    Examples
    --------
    >>> import torch
    >>> from sklstm.training import RaggedTensor, inputs_of
    >>> {name: part.shape for name, part in inputs_of(torch.zeros(10, 5, 2), torch.arange(4)).items()}
    {'X': torch.Size([4, 5, 2])}
    >>> list(inputs_of(RaggedTensor(torch.zeros(3, 1), torch.tensor([2, 1])), torch.arange(2)))
    ['X', 'lengths']
    """
    return {"X": X[rows]} if isinstance(X, Tensor) else X.batch(rows)
