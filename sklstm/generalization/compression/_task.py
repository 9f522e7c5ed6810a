"""What fine-tuning asks of a learning problem: gradients of a smooth loss, and the bounded loss of the bound."""

from typing import Protocol

from torch import Tensor

__all__ = ["Task"]


class Task(Protocol):
    """A training sample and two losses on it."""

    n_samples: int
    zero_one: bool  # whether `bounded_loss` averages zeros and ones

    def gradient(self, weights: dict[str, Tensor], rows: Tensor, *, bounded: bool) -> tuple[float, dict[str, Tensor]]:
        """Mean loss over the given rows and its gradient by each weight.

        Parameters
        ----------
        weights : dict of str to Tensor
            Of the network.
        rows : Tensor of int64 of shape (b,)
            Samples to average over.
        bounded : bool
            False: a negative log-likelihood, in nats; True: a smooth loss in [0, 1] near the one that the bound is
            about.

        Returns
        -------
        loss : float
        gradient : dict of str to Tensor
            In the shapes of the weights.
        """
        ...

    def bounded_loss(self, weights: dict[str, Tensor], *, final: bool = False) -> float:
        """Mean over the whole sample of the loss that the bound is about.

        Parameters
        ----------
        weights : dict of str to Tensor
            Of the network.
        final : bool, default=False
            True: exactly as the predictor will be evaluated; otherwise it may be off by rounding.

        Returns
        -------
        float
            In [0, 1]; NaN counts as 1.
        """
        ...
