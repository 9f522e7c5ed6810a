"""Sequences that stay where they are, in a file for instance, and become tensors a batch at a time."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor

__all__ = ["StreamedTensor"]

# Bytes of float32 that are read ahead of training. The rows of a random batch lie all over the file, and the system
# reads 128 kB around each: with a file of 672 MB and 250 MB of memory for it, 100,000 rows took more than 100 s, batch
# by batch. The rows of many batches at a time, in the order of the file, are little more than a pass over it: windows
# of 16, 32 and 64 MB took 5.5, 3.0 and 1.0 s. With the file in memory a window costs half a microsecond a row.
WINDOW = 1 << 26

# Bytes of float64 that are gathered in one call.
_PIECE = 1 << 22


class StreamedTensor:
    """Sequences of one length in an array of any real dtype, read as float32 when they are asked for.

    torch sees copies only: it neither shares read-only memory nor may it write to the user's, and its own memory is
    aligned to 64 bytes, on which the rounding of matrix kernels may depend.

    Parameters
    ----------
    values : ndarray of shape (n, L, d)
        Never written to.
    device : str or torch.device
        Of the tensors that come out.
    rows : ndarray of int64 of shape (m,), optional
        The sequences in question, in this order; by default all.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklstm.training import StreamedTensor
    >>> X = StreamedTensor(np.arange(6, dtype=np.int16).reshape(3, 2, 1))  # or a memmap
    >>> X.batch(torch.tensor([2]))["X"].tolist()
    [[[4.0], [5.0]]]
    >>> [tuple(part.shape) for part in X.split(2)], X.loaded().dtype
    ([(2, 2, 1), (1, 2, 1)], torch.float32)
    >>> order = torch.tensor([2, 0, 1])
    >>> [(rows.tolist(), len(batch)) for rows, batch in X.batches(order.split(2), batch_size=2)]
    [([2, 0], 2), ([1], 1)]
    """

    def __init__(self, values: np.ndarray, device: str | torch.device = "cpu", rows: np.ndarray | None = None):
        self.values, self.rows = values, rows
        self.device = torch.device(device)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sequences, steps, channels."""
        return (len(self), *self.values.shape[1:])

    def __len__(self) -> int:
        return len(self.values) if self.rows is None else len(self.rows)

    def __getitem__(self, rows: Tensor) -> "StreamedTensor":
        """Some of the sequences, not read yet."""
        return StreamedTensor(self.values, self.device, self._places(rows))

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """What the network takes for some sequences.

        Parameters
        ----------
        rows : Tensor of int64 of shape (b,)
            Their places.

        Returns
        -------
        dict of str to Tensor
            ``X`` (b, L, d) in float32.
        """
        return {"X": self._gathered(self._places(rows)).to(self.device)}

    def batches(self, parts: Iterable[Tensor], batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Sequences by parts of a permutation, read ahead.

        Parameters
        ----------
        parts : iterable of Tensor of int64 of shape (b,)
            Places of the sequences of each batch.
        batch_size : int
            The largest b.

        Yields
        ------
        rows : Tensor of shape (b,)
            As given.
        X : Tensor of shape (b, L, d), float32
        """
        parts = iter(parts)
        ahead = WINDOW // max(1, 4 * batch_size * int(np.prod(self.values.shape[1:])))
        if ahead <= 1:
            yield from ((rows, self.batch(rows)["X"]) for rows in parts)
            return
        buffer: Tensor | None = None
        while window := list(islice(parts, ahead)):
            places = self._places(torch.cat(window))
            if buffer is None:  # the first window is the largest
                buffer = torch.empty(len(places), *self.values.shape[1:], dtype=torch.float32)
            self._gather(places, buffer.numpy())
            start = 0
            for rows in window:
                # A clone begins at an aligned address, as a batch of a tensor does.
                yield rows, buffer[start : start + len(rows)].clone().to(self.device)
                start += len(rows)

    def split(self, size: int) -> Iterator[Tensor]:
        """All sequences in order.

        Parameters
        ----------
        size : int
            Sequences at a time.

        Yields
        ------
        Tensor of shape (size or fewer, L, d), float32
        """
        for start in range(0, len(self), size):
            if self.rows is None:
                yield _filled(self.values[start : start + size]).to(self.device)
            else:
                yield self._gathered(self.rows[start : start + size]).to(self.device)

    def loaded(self) -> Tensor:
        """All sequences at once.

        Returns
        -------
        Tensor of shape (n, L, d), float32
        """
        return (_filled(self.values) if self.rows is None else self._gathered(self.rows)).to(self.device)

    def _places(self, rows: Tensor) -> np.ndarray:
        places = rows.cpu().numpy()
        return places if self.rows is None else self.rows[places]

    def _gathered(self, places: np.ndarray) -> Tensor:
        copy = torch.empty(len(places), *self.values.shape[1:], dtype=torch.float32)
        self._gather(places, copy.numpy())
        return copy

    def _gather(self, places: np.ndarray, out: np.ndarray) -> None:
        """Rows of the array in the first rows of ``out``, read in the order in which they lie."""
        order = np.argsort(places, kind="stable")
        size = max(1, _PIECE // (8 * int(np.prod(self.values.shape[1:]))))
        for start in range(0, len(order), size):
            piece = order[start : start + size]
            out[piece] = _through_float64(self.values[places[piece]])


def _filled(values: np.ndarray) -> Tensor:
    copy = torch.empty(values.shape, dtype=torch.float32)
    if values.dtype.kind == "f" and values.dtype.itemsize <= 8:
        np.copyto(copy.numpy(), values, casting="unsafe")
        return copy
    size = max(1, _PIECE // max(1, 8 * int(np.prod(values.shape[1:]))))
    for start in range(0, len(values), size):
        copy[start : start + size].numpy()[...] = _through_float64(values[start : start + size])
    return copy


def _through_float64(values: np.ndarray) -> np.ndarray:
    """As what is not a float64 or less becomes one in memory before it becomes float32: rounded twice."""
    return values if values.dtype.kind == "f" and values.dtype.itemsize <= 8 else values.astype(np.float64)
