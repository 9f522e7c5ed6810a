r"""Robust training: the loss of attacked inputs, and the largest loss within the bounds of the interval pass.

For input errors of up to ε in every entry of a sequence x with target y, and a network f, training minimises

.. math:: (1 - \kappa)\, \ell(f(x + \delta), y) + \kappa \max_{v \in I} \ell(v, y).

Here δ is one step of size 1.25 ε along the signs of the gradient. It starts at a random point of the box of half-width
ε and is clipped to that box (Madry et al. 2018; Wong, Rice & Kolter 2020). I is the interval that the interval pass
gives for the box of half-width τε around x + (1 − τ) δ. κ = 0 is adversarial training, and κ = τ = 1 is interval bound
propagation (Gowal et al. 2018). Values of κ between mix the two (De Palma et al. 2024), and τ < 1 propagates small
boxes (Müller et al. 2023). The attacked loss is at most the true largest loss. If τ = 1, the interval's loss is at
least that.

ε and κ rise linearly from zero at the beginning of training. With all of κ at once, networks become constants, whose
intervals have no width. Over many steps intervals grow so much that they become constants all the same. Let g be the
loss of the best constant prediction (such as the mean of the targets). The loss within the bounds counts for little
while it is above g. From a tenth of ε and κ on, the largest loss w is replaced by

.. math:: \min\bigl(w,\; g + \tfrac14 (g - \ell(f(x + \delta), y))_+\bigr).

Its gradient is that of w, multiplied by the remaining share of w - g. For κ below 0.8 the whole loss is below g as soon
as the network is better than the constant on attacked inputs. So becoming a constant does not lower the loss.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklstm.certificates import IntervalPass, RecurrentNetwork
from sklstm.networks._networks import is_plain

from ._net import Objective, PlainObjective

_STEP = 1.25  # of the attack, in units of eps
# Bounds count at most this much above the loss of the best constant, in units of the distance of the attacked loss
# below it, and only from this strength on. At first bounds are above it in every training, and making them narrow
# helps.
_HELD_BACK, _FROM = 0.25, 0.1


@dataclass(frozen=True, eq=False)
class Robust:
    """The settings of robust training; makes the objective of a training.

    Parameters
    ----------
    eps : float or ndarray of shape (d,)
        Half-width ε of the box, in the units of the inputs: one number, or one per channel. Not negative, not all 0.
    weight : float
        κ, the share of the largest loss within the bounds, in [0, 1].
    box : float
        τ, the relative size of the box of the bounds, in (0, 1].
    ramp : float
        Number of epochs in which ε and κ rise to their values.
    labels : bool
        Whether targets are class numbers. The largest loss is then taken over the differences between all outputs and
        that of the class. These are narrower than the differences of the outputs' intervals.
    guess : float
        Loss of the best constant prediction (mean of the targets or most frequent label) on the training data. Bounds
        that allow more count for little, so that the network does not become this constant; with ``inf`` all bounds
        count fully. With ``weight`` 1 there are no attacked inputs to compare with, and all bounds count fully.

    Examples
    --------
    >>> import torch
    >>> from sklstm.networks import LSTMNetwork
    >>> from sklstm.training import NetworkSpec, Robust, SequenceDataset, TrainingSpec, train
    >>> X = torch.randn(60, 5, 1, generator=torch.Generator().manual_seed(0))
    >>> network = NetworkSpec(LSTMNetwork, {"n_features": 1, "hidden_size": 4, "n_outputs": 1})
    >>> robust = Robust(eps=0.1, weight=0.5, ramp=2)
    >>> robust.objective(LSTMNetwork(**network.arguments)).robust is robust
    True
    >>> net = train(TrainingSpec(network, torch.nn.MSELoss, robust=robust, max_epochs=4), SequenceDataset(X, X[:, -1]))
    >>> len(net.history)
    4
    """

    eps: float | np.ndarray
    weight: float = 0.0
    box: float = 1.0
    ramp: float = 0.0
    labels: bool = False
    guess: float = math.inf

    def objective(self, module: nn.Module) -> "RobustObjective":
        """The objective that computes the loss of a batch; a new one for each training.

        Parameters
        ----------
        module : nn.Module
            The network to train.

        Returns
        -------
        RobustObjective

        Raises
        ------
        TypeError
            If the bounds have a weight, but nothing is proved about such a network.
        """
        if self.weight > 0 and not is_plain(module):
            raise TypeError(
                f"Nothing is proved about the network {type(module).__name__}, so there are no bounds to train it "
                "for. Set robust_weight=0 to train it on attacked inputs."
            )
        return RobustObjective(self)


class RobustObjective(Objective):
    """The loss of robust training, for a net with a network of this package.

    Parameters
    ----------
    robust : Robust
    """

    def __init__(self, robust: Robust):
        self.robust = robust
        self.intervals: IntervalPass | None = None

    def training(self, net: Any, inputs: Any, targets: Any) -> tuple[Tensor, Tensor]:
        strength = self.strength(net)
        if not strength:
            return PlainObjective().training(net, inputs, targets)
        eps = strength * self._eps(_values(inputs))
        start = None
        if not self._is_interval(strength):
            X = _values(inputs)
            # Drawn on the CPU: the start must not depend on the device of the data.
            start = (2 * torch.rand(X.shape, generator=net.generator, dtype=X.dtype) - 1).to(X.device) * eps
        guess = self.robust.guess if strength >= _FROM else math.inf
        return self._loss(net, inputs, targets, eps, strength * self.robust.weight, start, guess)

    def validation(self, net: Any, inputs: Any, targets: Any) -> tuple[Tensor, Tensor]:
        # At full strength, and without random numbers: epochs are compared by it.
        eps = self._eps(_values(inputs))
        start = None if self._is_interval(1.0) else torch.zeros_like(_values(inputs))
        return self._loss(net, inputs, targets, eps, self.robust.weight, start, math.inf)

    def strength(self, net: Any) -> float:
        """Share of ε and κ that counts in the current batch of the net.

        Parameters
        ----------
        net : SequenceNet

        Returns
        -------
        float
        """
        epochs = len(net.history) - 1 + net.part_of_epoch_
        return 1.0 if self.robust.ramp <= 0 else min(1.0, max(epochs, 0.0) / self.robust.ramp)

    def _eps(self, X: Tensor) -> Tensor:
        return torch.as_tensor(self.robust.eps, dtype=X.dtype, device=X.device)

    def _is_interval(self, strength: float) -> bool:
        """Whether only the interval pass is used, around the inputs themselves."""
        return strength * self.robust.weight >= 1 and self.robust.box >= 1

    def _loss(
        self, net: Any, inputs: Any, targets: Any, eps: Tensor, weight: float, start: Tensor | None, guess: float
    ) -> tuple[Tensor, Tensor]:
        X = _values(inputs)
        delta = torch.zeros_like(X) if start is None else self._attack(net, inputs, targets, eps, start)
        attacked, outputs = torch.zeros((), device=X.device), torch.empty(0)
        if weight < 1:
            outputs = net.infer(_moved(inputs, X + delta))
            attacked = net.get_loss(outputs, targets, X=inputs, training=True)
        if weight == 0:
            return attacked, outputs
        box = self.robust.box
        centre = X if box >= 1 else X + (1 - box) * delta
        worst, ends = self._largest_loss(net, inputs, targets, centre, box * eps)
        if weight >= 1:
            return worst, ends
        return weight * _held_back(worst, attacked.detach(), guess) + (1 - weight) * attacked, outputs

    def _attack(self, net: Any, inputs: Any, targets: Any, eps: Tensor, start: Tensor) -> Tensor:
        X = _values(inputs)
        with torch.enable_grad():
            attacked = (X + start).requires_grad_()
            loss = net.get_loss(net.infer(_moved(inputs, attacked)), targets, X=inputs, training=True)
            (gradient,) = torch.autograd.grad(loss, attacked)
        return torch.clamp(start + _STEP * eps * gradient.sign(), -eps, eps)

    def _largest_loss(
        self, net: Any, inputs: Any, targets: Any, centre: Tensor, radius: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The mean of the largest losses in the intervals of the outputs, and the ends where they occur."""
        module = net.module_
        if self.intervals is None:
            self.intervals = IntervalPass(RecurrentNetwork.from_torch(module.recurrent, module.readout))
        part = module.linear_part
        y, weight = targets if isinstance(targets, tuple) else (targets, None)
        lower, upper = self.intervals(
            centre - radius,
            centre + radius,
            lengths=inputs["lengths"] if isinstance(inputs, dict) else None,
            minus=y if self.robust.labels else None,
            weight_linear=None if part is None else part.weight,
        )
        criterion = net.criterion(**(net.get_params_for("criterion") | {"reduction": "none"}))
        if self.robust.labels:
            losses, ends = criterion(upper, y), upper  # upper bounds of the other logits minus that of the class
        else:
            # Losses are convex in the prediction: the largest is at an end.
            low, high = (module.link(end) for end in (lower, upper))
            at_low, at_high = criterion(low, y), criterion(high, y)
            losses, ends = torch.maximum(at_low, at_high), torch.where(at_low > at_high, low, high)
        losses = losses.reshape(len(y), -1).mean(1)
        return (losses if weight is None else weight * losses).mean(), ends


def _values(inputs: Any) -> Tensor:
    values: Tensor = inputs["X"] if isinstance(inputs, dict) else inputs
    return values


def _moved(inputs: Any, X: Tensor) -> Any:
    return {**inputs, "X": X} if isinstance(inputs, dict) else X


def _held_back(worst: Tensor, attacked: Tensor, guess: float) -> Tensor:
    """The largest loss, or its replacement where it is above the loss of the best constant prediction for the data."""
    if math.isinf(guess):
        return worst
    excess, limit = worst.detach() - guess, _HELD_BACK * (guess - attacked).clamp(min=0)
    share = torch.where(excess <= limit, torch.ones_like(excess), limit / excess)
    return share * worst + (1 - share) * guess
