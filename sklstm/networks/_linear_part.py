"""The linear part of a network: a matrix times the last steps of a sequence, added to the readout of its state."""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from sklstm._sequences import last_steps


def unit_of(n_columns: int) -> float:
    r"""The unit in which a matrix of so many columns is trained: a power of two of about :math:`1/\sqrt{m}`.

    A step of Adam moves every parameter by about the learning rate, and the columns are many and similar. If A itself
    were the parameter, the first steps from the ridge solution would cost more than hundreds could gain. A product with
    a power of two is exact.
    """
    return float(2.0 ** -math.ceil(math.log2(n_columns) / 2))


class LinearPart(nn.Module):
    r""":math:`A\,\mathrm{vec}(x_{L-p+1}, \dots, x_L)`, with a matrix A that is trained and starts at zero, or is fixed.

    There is no bias: that of the readout serves both. The parameter is A in units of about :math:`1 / \sqrt{p d}`.

    Parameters
    ----------
    n_features : int
        Number of channels d.
    n_outputs : int
        Number of outputs k.
    n_steps : int
        Number of steps p that A reads.
    channels : tuple of int of length k
        For each output, the channel whose value at the last step A selects. A is then fixed, and p is 1. Empty for a
        trained matrix.
    dtype : torch.dtype
    device : str or torch.device, optional

    Attributes
    ----------
    values : Tensor of shape (k, p * d)
        The parameter, or the fixed values: A / ``unit``.
    unit : float
        A power of two.

    Raises
    ------
    ValueError
        If there is not one channel for every output, or a channel is not one of the d.

    Examples
    --------
    The second channel at the last step of a sequence of three steps:

    >>> import torch
    >>> from sklstm.networks._linear_part import LinearPart
    >>> X = torch.arange(6.0).reshape(1, 3, 2)
    >>> LinearPart(n_features=2, n_outputs=1, n_steps=1, channels=(1,))(X)
    tensor([[5.]])
    >>> LinearPart(n_features=2, n_outputs=1, n_steps=2).weight.shape
    torch.Size([1, 4])
    """

    values: Tensor

    def __init__(
        self,
        n_features: int,
        n_outputs: int,
        n_steps: int,
        channels: tuple[int, ...] = (),
        dtype: torch.dtype = torch.float32,
        device: str | torch.device | None = None,
    ):
        super().__init__()
        self.n_steps, self.channels = n_steps, channels
        n_columns = n_steps * n_features
        self.unit = unit_of(n_columns)
        # Zeros, so that no random number is drawn: the other weights start as in a network without a linear part.
        values = torch.zeros(n_outputs, n_columns, device=device, dtype=dtype)
        if not channels:
            self.values = nn.Parameter(values)
            return
        if len(channels) != n_outputs or not all(0 <= channel < n_features for channel in channels):
            raise ValueError(
                f"channels must be one number from 0 to {n_features - 1} for each of {n_outputs} outputs, got "
                f"{channels}."
            )
        for output, channel in enumerate(channels):
            values[output, channel - n_features] = 1 / self.unit  # of the last step
        # Known without the data: not in `state_dict`, so that neither files nor codes of the weights contain it.
        self.register_buffer("values", values, persistent=False)

    @property
    def weight(self) -> Tensor:
        """A (k, p * d), with columns in time-major order; zero columns may follow."""
        return self.unit * self.values

    @property
    def is_trained(self) -> bool:
        """Whether the matrix is a parameter."""
        return not self.channels

    def set_weight_(self, A: Tensor) -> None:
        """Set the values (k, p * d) of a trained matrix; values beyond its dtype become the largest that it has."""
        largest = torch.finfo(self.values.dtype).max
        with torch.no_grad():
            self.values.copy_((A / self.unit).clamp(-largest, largest))

    def forward(self, X: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(n, L, d) → (n, k)."""
        last, A = last_steps(X, lengths, self.n_steps), self.weight
        missing = A.shape[1] - last.shape[1]
        return functional.linear(functional.pad(last, (0, missing)) if missing else last, A)

    def widened(self, multiple: int) -> "LinearPart":
        """The same function with the number of columns rounded up to a multiple, for `aligned`."""
        missing = -self.values.shape[1] % multiple
        if not missing:
            return self
        wide = copy.copy(self)
        wide._parameters, wide._buffers = {}, {}
        wide.values = functional.pad(self.values.detach(), (0, missing))
        return wide
