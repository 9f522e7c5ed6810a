"""What fine-tuning asks of a learning problem: gradients of a smooth loss, and the bounded loss of the bound."""

from typing import Protocol

from torch import Tensor

__all__ = ["Task"]


class Task(Protocol):
    """A training sample and two losses on it.

    Examples
    --------
    Linear classification of points by a sign; the smooth loss is the probability of error of the logistic model:

    >>> import torch
    >>> class Signs:
    ...     n_samples, zero_one = 4, True
    ...     x, sign = torch.tensor([[1.0], [2.0], [-1.0], [-2.0]]), torch.tensor([1.0, 1.0, -1.0, -1.0])
    ...
    ...     def gradient(self, weights, rows, *, bounded):
    ...         w = weights["w"].detach().requires_grad_()
    ...         margin = self.sign[rows] * (self.x[rows] @ w)
    ...         loss = torch.sigmoid(-margin).mean() if bounded else -torch.nn.functional.logsigmoid(margin).mean()
    ...         loss.backward()
    ...         return loss.item(), {"w": w.grad}
    ...
    ...     def bounded_loss(self, weights, *, final=False):
    ...         return (self.sign * (self.x @ weights["w"]) <= 0).double().mean().item()
    >>> task = Signs()
    >>> task.bounded_loss({"w": torch.ones(1)}), task.bounded_loss({"w": -torch.ones(1)})
    (0.0, 1.0)
    >>> loss, gradient = task.gradient({"w": torch.zeros(1)}, torch.arange(4), bounded=True)
    >>> loss, gradient["w"]  # minus the mean of |x|/4
    (0.5, tensor([-0.3750]))
    """

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
