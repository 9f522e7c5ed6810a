"""β_U, β_W, β_V of the theorems: enforced in advance, paid for on a grid, or read off the weights."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from sklstm.generalization._inputs import Float
from sklstm.generalization._union import Charged, round_up
from sklstm.linalg import max_row_sum

__all__ = ["MaxNorms", "RowSums", "row_sums"]

MaxNorms = Mapping[str, float | None] | Sequence[float | None] | None

# Training in float32 keeps a row sum below its limit up to a few ulps per column. Such weights belong to the
# class with the limit enlarged by this factor, a class that is fixed in advance just as well.
_FLOAT32_SLACK = 1 + 1e-5


@dataclass(frozen=True)
class RowSums:
    r"""Bounds on the largest absolute row sums.

    Attributes
    ----------
    u, w, v : float
        :math:`\beta_U, \beta_W, \beta_V`.
    price : float
        What the choice of all three costs: δ is to be multiplied by :math:`e^{-\text{price}}`.
    sentences : tuple of str
        Where each comes from.
    """

    u: float
    w: float
    v: float
    price: float
    sentences: tuple[str, ...]


def row_sums(weights: tuple[Float, Float, Float], max_norms: MaxNorms, *, norms: str, n_steps: int) -> RowSums:
    """Row sums that a theorem may use, for weights U (m, d), W (m, m), V (k, m).

    Parameters
    ----------
    weights : tuple of ndarray
        U, W, V in float64.
    max_norms : mapping, sequence or None
        Limits that training enforced, in the order U, W, V or under the keys "u", "w", "v".
    norms : {"measured", "union"}
        What becomes of a norm without a limit. With "measured" also of one whose weights break it; with "union" that
        is a ValueError.
    n_steps : int
        L; the grid for :math:`\beta_W` has the ratio e^(1/L).
    """
    limits = _limits(max_norms)
    found: list[Charged] = []
    enforced, looked_at = [], []
    for letter, matrix, limit in zip("UWV", weights, limits, strict=True):
        beta = float(max_row_sum(torch.from_numpy(matrix)))
        # The projection keeps a row's sum as it adds it up; another order of adding may differ by these roundings.
        if limit is not None and limit < beta <= limit * (1 + matrix.shape[1] * 2.0**-52):
            beta = float(limit)
        if norms == "union" and limit is not None and beta > limit:
            # One more class of weights to choose from, after seeing them, would be one more share of δ to pay.
            raise ValueError(
                f"a row of {letter} sums to {beta:.9g}, above its limit {limit:.9g}: only a limit that training "
                "enforced costs nothing. Leave it out of max_norms, and the norm is paid for."
            )
        if limit is not None and beta <= limit * _FLOAT32_SLACK:
            found.append(Charged(float(limit) if beta <= limit else limit * _FLOAT32_SLACK))
            enforced.append(f"β_{letter} = {found[-1].value:.6g}")
            continue
        found.append(round_up(beta, n_steps if letter == "W" else 1) if norms == "union" else Charged(beta))
        looked_at.append(f"β_{letter} = {found[-1].value:.6g}" if norms == "union" else f"β_{letter}")
    sentences = []
    if enforced:
        sentences.append(f"Row-sum limits were enforced in advance: {', '.join(enforced)}.")
    if looked_at and norms == "union":
        sentences.append(
            f"Row sums rounded up to a grid fixed in advance, the choice paid for in δ: {', '.join(looked_at)}."
        )
    elif looked_at:
        sentences.append(
            "The theorem wants the norms fixed before seeing the data; "
            f"{', '.join(looked_at)} were read off the trained weights."
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
