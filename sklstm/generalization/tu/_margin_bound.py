"""What the margin bounds share, Lemma 7 of Tu et al. 2020: margins, losses, row sums of the weights, confidence."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from sklstm.generalization._bound import is_informative
from sklstm.generalization._confidence import Charged, round_up
from sklstm.generalization._theorem_inputs import Array, Float, check_delta, noisy_chunks
from sklstm.linalg import max_row_sum

#: The assumption that the margin bounds make on the network, by the activation of its units.
MODELS = {
    name: f"{units} units, no biases, h_0 = 0, a prediction from the last state; the classes were fixed in advance."
    for name, units in (("relu", "ReLU"), ("tanh", "tanh"))
}

MaxNorms = Mapping[str, float | None] | Sequence[float | None] | None

# Training in float32 may exceed the limit of a row sum by a few ulps per column. The bound is for the class of networks
# with the limit times this factor, also if these weights do not need it. To decide by the weights would add a second
# class.
_FLOAT32_SLACK = 1 + 1e-5


@dataclass(frozen=True, kw_only=True)
class MarginBound:
    """A bound on the error probability of the trained predictor: a sum of terms.

    Of the terms only `confidence_term` depends on δ. A subclass names the fields of the others in `_summands`, and says
    whether the bound `can_fail`.
    """

    _summands: ClassVar[tuple[str, ...]]
    can_fail: ClassVar[bool] = True

    value: float
    confidence_term: float
    n_samples: int
    delta: float
    vacuous: bool
    log_price: float = 0.0
    guess: float | None = None

    @property
    def informative(self) -> bool:
        """Whether the bound is below the error of always predicting the most frequent class."""
        return is_informative(self)

    def at_delta(self, delta: float) -> Self:
        """The same bound at another failure probability.

        Parameters
        ----------
        delta : float
            A number in (0, 1). A margin that was chosen on a grid does not change: the bound holds for every grid
            point.

        Returns
        -------
        bound of the same type

        Raises
        ------
        ValueError
            If `delta` is not in (0, 1).
        """
        check_delta(delta)
        confidence = confidence_term(delta, self.n_samples, self.log_price)
        value = sum(getattr(self, name) for name in self._summands) + confidence
        return replace(self, value=value, confidence_term=confidence, delta=float(delta), vacuous=value >= self.ceiling)

    @property
    def about(self) -> str:
        """The predictor that the bound is about."""
        return "the trained predictor"

    @property
    def ceiling(self) -> float:
        """The value from which on the bound says nothing."""
        return 1.0

    @property
    def quantity(self) -> str:
        """The bounded quantity."""
        return "an error probability"


def confidence_term(delta: float, n_samples: int, log_price: float = 0.0) -> float:
    r""":math:`3\sqrt{\log(2/\delta')/(2n)}` with :math:`\delta' = \delta\,e^{-\text{log\_price}}`."""
    # Logarithms are added: δ' itself may be below float64.
    return 3 * math.sqrt((math.log(2 / delta) + log_price) / (2 * n_samples))


def margins(
    u: Float,
    w: Float,
    v: Float,
    x: Array,
    y: NDArray[np.integer],
    added: Array | None = None,
    activation: str = "relu",
) -> Float:
    r""":math:`M = [y_L]_y - \max_{y' \ne y} [y_L]_{y'}`, shape (n,); −inf where an output overflows."""
    out = np.empty(len(x))
    start = 0
    for sequences in noisy_chunks(x, added, len(u)):
        part = slice(start, start + len(sequences))
        out[part] = margins_of_chunk(u, w, v, sequences, y[part], activation)
        start = part.stop
    return out


def margins_of_chunk(u: Float, w: Float, v: Float, x: Float, y: NDArray[np.integer], activation: str = "relu") -> Float:
    """As :func:`margins`, for sequences that are few enough to compute at once."""
    scores = last_output(u, w, v, x, activation)  # (b, k)
    rows = np.arange(len(scores))
    own = scores[rows, y]
    scores[rows, y] = -math.inf
    with np.errstate(over="ignore", invalid="ignore"):
        margin = own - scores.max(axis=1)
    # The margin of an output that overflowed is not known. It counts as an error, which can only raise the bound.
    return np.where(np.isfinite(margin), margin, -math.inf)


def last_output(u: Float, w: Float, v: Float, x: Float, activation: str = "relu") -> Float:
    """Outputs (b, k) of the network on x (b, L, d); NaN where a state overflowed."""
    h = np.zeros((len(x), len(u)))
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(x.shape[1]):
            g = x[:, t] @ u.T + h @ w.T  # (b, m)
            if not np.isfinite(g.sum()):  # a finite sum has finite summands
                g[~np.isfinite(g)] = math.nan  # an activation would turn inf into a number and hide the overflow
            h = np.tanh(g, out=g) if activation == "tanh" else np.maximum(g, 0, out=g)
        return h @ v.T


def margin_loss(margin: Float, alpha: float) -> float:
    r"""Mean of :math:`1[M \le \alpha]`, the first term of Theorem 2."""
    return float(np.mean(margin <= alpha))


def ramp_loss(margin: Float, alpha: float) -> float:
    r"""Mean of :math:`\Phi_\alpha(M)`, first term of Theorem 3: 1 up to M = 0, then linear down to 0 at α."""
    # Clipped before dividing, so that −inf and a large M over a small α need no case of their own.
    return float(np.mean(1 - np.clip(margin, 0, alpha) / alpha))


def check_margin(margin: float | None) -> None:
    """``ValueError`` unless α is None or positive and finite."""
    if margin is not None and not 0 < margin < math.inf:
        raise ValueError(f"margin must be a positive number, got {margin!r}")


@dataclass(frozen=True)
class RowSums:
    r"""Bounds on the largest absolute row sums.

    Attributes
    ----------
    u, w, v : float
        :math:`\beta_U, \beta_W, \beta_V`.
    price : float
        Price of the choice of all three: δ is multiplied by :math:`e^{-\text{price}}`.
    sentences : tuple of str
        How each was found.
    """

    u: float
    w: float
    v: float
    price: float
    sentences: tuple[str, ...]

    @property
    def fields(self) -> dict[str, float]:
        """The sums by the names of the fields of the bounds."""
        return {"beta_u": self.u, "beta_w": self.w, "beta_v": self.v}


def row_sums(weights: tuple[Float, Float, Float], max_norms: MaxNorms, *, norms: str, n_steps: int) -> RowSums:
    """The row sums that enter a theorem, for weights U (m, d), W (m, m), V (k, m).

    Parameters
    ----------
    weights : tuple of ndarray
        U, W, V in float64.
    max_norms : mapping, sequence or None
        Limits that training enforced, in the order U, W, V or under the keys "u", "w", "v".
    norms : {"measured", "union"}
        How a norm without a limit is found. With "measured" this includes a norm whose weights exceed its limit; with
        "union" such weights are a ``ValueError``.
    n_steps : int
        L; the grid for :math:`\beta_W` has the ratio e^(1/L).
    """
    limits = _limits(max_norms)
    found: list[Charged] = []
    enforced, looked_at = [], []
    for letter, matrix, limit in zip("UWV", weights, limits, strict=True):
        beta = float(max_row_sum(torch.from_numpy(matrix)))
        if norms == "union" and limit is not None and beta > limit * _FLOAT32_SLACK:
            # A further class of weights, chosen after seeing them, would cost a further share of δ.
            raise ValueError(
                f"a row of {letter} sums to {beta:.9g}, above its limit max_norm_{letter.lower()}={limit:.9g}. Only a "
                "limit that training enforced has no price. Fit again with it, or leave it out of max_norms: δ is "
                "then reduced for the norm."
            )
        if limit is not None and beta <= limit * _FLOAT32_SLACK:
            found.append(Charged(limit * _FLOAT32_SLACK))
            enforced.append(f"β_{letter} = {found[-1].value:.6g}")
            continue
        found.append(round_up(beta, n_steps if letter == "W" else 1) if norms == "union" else Charged(beta))
        looked_at.append(f"β_{letter} = {found[-1].value:.6g}" if norms == "union" else f"β_{letter}")
    sentences = []
    if enforced:
        sentences.append(f"Row-sum limits were enforced in advance: {', '.join(enforced)}.")
    if looked_at and norms == "union":
        sentences.append(
            f"Row sums rounded up to a grid fixed in advance, and δ reduced for this choice: {', '.join(looked_at)}."
        )
    elif looked_at:
        sentences.append(
            f"The theorem needs norms that are fixed before seeing the data, but {', '.join(looked_at)} were measured "
            "on the trained weights."
        )
    u, w, v = found
    return RowSums(u.value, w.value, v.value, u.price + w.price + v.price, tuple(sentences))


def _limits(max_norms: MaxNorms) -> tuple[float | None, ...]:
    if max_norms is None:
        return (None, None, None)
    if isinstance(max_norms, Mapping):
        if not set(max_norms) <= {"u", "w", "v"}:
            raise ValueError(f"max_norms has keys 'u', 'w', 'v'; got {sorted(max_norms)}")
        limits = tuple(max_norms.get(key) for key in ("u", "w", "v"))
    else:
        limits = tuple(max_norms)
    if len(limits) != 3 or any(limit is not None and not 0 < limit < math.inf for limit in limits):
        raise ValueError(f"max_norms needs three limits (U, W, V), each a positive number or None; got {max_norms!r}")
    return limits
