r"""Spectral norms of matrices that change from call to call, at a small part of the cost of exact ones.

Under the penalty the leading singular values of a gate run close together, and one step of Adam can move a small matrix
by a quarter of its norm: one power step from the last vectors is 10 to 20 % off (docs/theory.md). A power of the Gram
matrix makes many power steps of a few products. The estimate :math:`\hat\sigma = \|W^\top u\|` with a unit vector u
never exceeds :math:`\sigma`; every few calls it is compared with the exact norm, and exact vectors replace the carried.

What the time goes into is the number of torch's operations, not their size: stacks of one side share their operations.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain
from typing import Any

import torch
from torch import Tensor

from sklstm.linalg import leading_pair

__all__ = ["LeadingPairs", "LeadingVectors"]

FIRST_CADENCE = 8
SHARED_SIDE = 32  # up to here one larger product costs less than two smaller ones


def power_steps(side: int) -> tuple[int, int]:
    """Squarings q of a Gram matrix of that side and products p with the result: p 2^q power steps."""
    return (6, 1) if side <= 32 else (5, 1) if side <= 64 else (2, 4)


@dataclass(frozen=True)
class LeadingPairs:
    """Leading singular triplets of several stacks of matrices (G, m, n), and other numbers that came along.

    The product of left and right vector has norm σ.
    """

    norms: list[list[float]]
    left: list[Tensor]  # (G, m, 1)
    right: list[Tensor]  # (G, n, 1)
    others: list[list[float]]


@dataclass
class _Group:
    """Stacks whose Gram matrices have one side in common."""

    members: list[int]
    by_rows: list[bool]  # W Wᵀ, of side m, rather than Wᵀ W
    sizes: list[int]
    vectors: Tensor | None = None  # (ΣG, side, 1), of the last call


class LeadingVectors:
    """Carries singular vectors from call to call; `TikhonovPenalty` documents cadence and tolerance."""

    def __init__(self, cadence: int, tolerance: float):
        if cadence < 1:
            raise ValueError(f"cadence must be at least 1, got {cadence}.")
        if not 0 < tolerance < math.inf:
            raise ValueError(f"tolerance must be positive and finite, got {tolerance}.")
        self.cadence, self.tolerance = cadence, tolerance
        self.largest_error = 0.0
        self.forget()

    def forget(self) -> None:
        """Drop the vectors; the next call is exact. `largest_error` stays."""
        self.shapes: list[torch.Size] = []
        self.groups: list[_Group] = []
        self.norms: list[list[float]] = []  # of the last call
        self.interval = min(FIRST_CADENCE, self.cadence)
        self.calls_left = 0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"shapes": [], "groups": [], "calls_left": 0}

    def __call__(self, matrices: list[Tensor], others: list[Tensor]) -> LeadingPairs:
        """Norms and vectors of the stacks; ``others``, vectors of any kind, share the one transfer from the device."""
        shapes = [matrix.shape for matrix in matrices]
        if shapes != self.shapes:
            self.forget()
            self.shapes, self.groups = shapes, _grouped(shapes)
        is_exact = self.calls_left == 0
        found = None
        if _usable(self.norms) and not (is_exact and self.cadence == 1):
            found = self._estimate(matrices, others)
        if is_exact or found is None or not _usable(found.norms):
            estimate, found = found, self._exact(matrices, others)
            if is_exact and estimate is not None and _usable(estimate.norms) and _usable(found.norms):
                self._steer(found.norms, estimate.norms)
            self.calls_left = self.interval
        self.calls_left -= 1
        self.norms = found.norms
        if not _usable(found.norms):
            self.calls_left = 0  # NaN in the weights, which may recover, or a zero matrix: nothing to start from
        return found

    def _estimate(self, matrices: list[Tensor], others: list[Tensor]) -> LeadingPairs:
        left, right, lengths = ([matrices[0]] * len(matrices) for _ in range(3))  # to be replaced one by one
        for group in self.groups:
            sides = [
                matrices[index] if by_rows else matrices[index].mT
                for index, by_rows in zip(group.members, group.by_rows, strict=True)
            ]
            norms = [norm for index in group.members for norm in self.norms[index]]
            group.vectors = _power_method(sides, group.vectors, norms)
            units = torch.split_with_sizes(group.vectors, group.sizes)
            for index, by_rows, matrix, unit in zip(group.members, group.by_rows, sides, units, strict=True):
                image = torch.bmm(matrix.mT, unit)  # of norm σ
                lengths[index] = torch.linalg.vector_norm(image, dim=(1, 2))
                left[index], right[index] = (unit, image) if by_rows else (image, unit)
        numbers = _numbers([*lengths, *others])
        return LeadingPairs(numbers[: len(matrices)], left, right, numbers[len(matrices) :])

    def _exact(self, matrices: list[Tensor], others: list[Tensor]) -> LeadingPairs:
        sigmas, left, right = zip(*map(leading_pair, matrices), strict=True)
        for group in self.groups:
            members = zip(group.members, group.by_rows, strict=True)
            group.vectors = torch.cat([left[index] if by_rows else right[index] for index, by_rows in members])
        numbers = _numbers([*sigmas, *others])
        images = [v * sigma[:, None, None] for v, sigma in zip(right, sigmas, strict=True)]
        return LeadingPairs(numbers[: len(matrices)], list(left), images, numbers[len(matrices) :])

    def _steer(self, exact: list[list[float]], estimates: list[list[float]]) -> None:
        pairs = zip(chain.from_iterable(exact), chain.from_iterable(estimates), strict=True)
        error = max((norm - estimate) / norm for norm, estimate in pairs)
        self.largest_error = max(self.largest_error, error)
        if error > self.tolerance:
            self.interval = max(1, self.interval // 2)
        elif error < self.tolerance / 10:
            self.interval = min(self.cadence, 2 * self.interval)


def _grouped(shapes: list[torch.Size]) -> list[_Group]:
    groups: dict[int, _Group] = {}
    for index, (size, m, n) in enumerate(shapes):
        by_rows = m <= max(n, SHARED_SIDE)
        group = groups.setdefault(m if by_rows else n, _Group([], [], []))
        group.members.append(index)
        group.by_rows.append(by_rows)
        group.sizes.append(size)
    return list(groups.values())


def _usable(norms: list[list[float]]) -> bool:
    """Whether all norms are positive and finite: an estimate may over- or underflow where a norm changed by far."""
    return bool(norms) and all(0 < norm < math.inf for part in norms for norm in part)


def _power_method(matrices: list[Tensor], start: Tensor | None, norms: list[float]) -> Tensor:
    """Unit vectors (ΣG, m, 1) near the leading left singular vectors of stacks (G, m, ·), NaN on underflow."""
    assert start is not None
    side = start.shape[1]
    if side == 1:
        return start
    grams = [torch.bmm(matrix, matrix.mT) for matrix in matrices]
    gram = grams[0] if len(grams) == 1 else torch.cat(grams)
    n_squarings, n_products = power_steps(side)
    # Over the last σ² the largest eigenvalue is about 1, and its powers stay in range.
    power = gram * start.new_tensor([(1 / norm) * (1 / norm) for norm in norms])[:, None, None]
    for _ in range(n_squarings):  # at these sizes a third of the time of torch.matrix_power
        power = torch.bmm(power, power)
    # The carried vector may have lost all share in what leads now; a little of everything brings it back.
    v = start + _fixed_vector(side, start.dtype, start.device)
    for _ in range(n_products):
        v = torch.bmm(power, v)
    return v / torch.linalg.vector_norm(v, dim=1, keepdim=True)


@lru_cache(maxsize=16)
def _fixed_vector(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A unit vector (size, 1) without structure, the same in every call."""
    vector = torch.randn(size, 1, generator=torch.Generator().manual_seed(0), dtype=dtype).to(device)
    return vector / torch.linalg.vector_norm(vector)


def _numbers(vectors: list[Tensor]) -> list[list[float]]:
    """The vectors as lists of Python floats, by one transfer."""
    numbers = torch.cat(vectors).tolist()
    ends = list(accumulate(vector.shape[0] for vector in vectors))
    return [numbers[start:end] for start, end in zip([0, *ends], ends, strict=False)]
