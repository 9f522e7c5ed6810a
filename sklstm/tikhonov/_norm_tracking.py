r"""Estimated spectral norms of matrices that change from call to call, far cheaper than exact norms.

During training with the penalty the leading singular values of a gate come close to each other. One step of Adam can
move a small matrix by a large part of its norm. One power step from the last vectors is then not accurate
(docs/theory/estimated_norms.md). Dozens of power steps are cheap as a power of the Gram matrix, or as a Chebyshev
polynomial of it where it is large. The estimate :math:`\hat\sigma = \|W^\top u\|`, with a unit vector u, never exceeds
:math:`\sigma`. Every few calls it is compared with the exact norm, and exact vectors replace the estimated ones.

Squares of small or large norms under- or overflow. Matrices whose norms are far from 1 are therefore multiplied by
powers of two first, which rounds nothing. For zero matrices the gradient is the subgradient zero.

At these sizes the cost is the number of function calls; after a training step the caches also hold the network's data.
On a CPU the arrays are therefore numpy arrays, whose calls take a third of the time of torch's. All memory is allocated
once, and stacks with a common side share their calls. The code is the same for tensors on other devices.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklstm.linalg import leading_pair

Array = Any  # ndarray or Tensor

FIRST_CADENCE = 64
LARGEST_SQUARED = 64
SQUARINGS, PRODUCTS = 4, 4  # power 4 · 2⁴ = 64
CHEBYSHEV_DEGREE = 12
SHARED_SIDE = 32  # up to this side one larger product costs less than two smaller ones
ORDINARY = 20  # norms from 2⁻²⁰ to 2²⁰ need no factor
SQUARES = 4.0**-24, 4.0**24  # an estimate is not used if its square, times that of its factor, is outside
# For the sum of the eigenvalues' 32nd powers, after division by the last σ². Beyond, powers lose digits to underflow,
# or overflow: the norm has changed by more than three times since the last call.
EXCESS = 2.0**-100, 2.0**100
SMALL_EXCESS = 1e-6


def as_array(tensor: Tensor) -> Array:
    """A view without graph: a numpy array for a tensor on the CPU, a tensor for any other device."""
    tensor = tensor.detach()
    return tensor.numpy() if tensor.device.type == "cpu" else tensor


class _Group:
    """Stacks of matrices whose vectors have the same length, with memory for everything computed from them."""

    def __init__(self, members: list[int], matrices: list[Array]):
        first = matrices[members[0]]
        self.xp: Any = torch if isinstance(first, Tensor) else np
        self.members = members
        self.by_rows = [_by_rows(matrices[i]) for i in members]
        turned = [matrices[i].swapaxes(1, 2) for i in members]
        self.views = [matrices[i] if rows else t for i, rows, t in zip(members, self.by_rows, turned, strict=True)]
        self.short = self.views
        self.long = [short.swapaxes(1, 2) for short in self.short]
        stops = np.cumsum([len(short) for short in self.short]).tolist()
        self.slices = [slice(stop - len(short), stop) for stop, short in zip(stops, self.short, strict=True)]
        count, side = stops[-1], first.shape[1 if self.by_rows[0] else 2]
        self.side = side
        self.dtype: torch.dtype = torch.as_tensor(first).dtype
        self.vectors, self.spare, self.lengths, self.squares = (
            self._empty(first, count, *rest) for rest in ((side, 1), (side, 1), (1, 1), (1, 1))
        )
        self.vectors_t = self.vectors.swapaxes(1, 2)
        self.images = [self._empty(first, len(short), short.shape[2], 1) for short in self.short]
        self.images_t = [image.swapaxes(1, 2) for image in self.images]
        self.products = [self._empty(first, *short.shape) for short in self.short]
        self.fixed = _fixed_vector(side, first)
        self.before = self._empty(first, count, side, 1)
        if 1 < side <= LARGEST_SQUARED:
            self.grams = [self._empty(first, count, side, side) for _ in range(2)]
            self.gram_parts = [self.grams[0][part] for part in self.slices]
        self.vector_parts = [self.vectors[part] for part in self.slices]
        self.square_parts = [self.squares[part] for part in self.slices]
        self.spare_parts = [self.spare[part] for part in self.slices]
        self.excess: list[float] = []
        self.scale([1.0] * count, [False] * count)

    def scale(self, factors: list[float], is_zero: list[bool]) -> None:
        """Multiply the matrices by powers of two from now on; some of them are zero."""
        self.factors, self.is_zero, self.some_zero = factors, is_zero, any(is_zero)
        self.short = self.views
        if any(factor != 1 for factor in factors):
            self.short = [self._empty(view, *view.shape) for view in self.views]
            like = self.vectors
            every = like.new_tensor(factors) if isinstance(like, Tensor) else np.array(factors, like.dtype)
            self.factor_parts = [every[part, None, None] for part in self.slices]
        self.long = [short.swapaxes(1, 2) for short in self.short]

    def _empty(self, like: Array, *shape: int) -> Array:
        return like.new_empty(shape) if isinstance(like, Tensor) else np.empty(shape, like.dtype)

    def improve(self) -> None:
        """Move the vectors towards the leading singular vectors; then measure the norms."""
        if self.short is not self.views:
            for view, factor, scaled in zip(self.views, self.factor_parts, self.short, strict=True):
                self.xp.multiply(view, factor, out=scaled)
        if 1 < self.side <= LARGEST_SQUARED:
            self._square()
        elif self.side > 1:
            self._chebyshev()
        self.measure()

    def is_trusted(self) -> bool:
        """Whether nothing under- or overflowed in the last `improve`, and zero matrices are still zero."""
        squares = self.squares.reshape(-1).tolist()
        if not self.some_zero:
            known, excess = squares, self.excess
        else:
            known = [square for square, zero in zip(squares, self.is_zero, strict=True) if not zero]
            excess = [value for value, zero in zip(self.excess, self.is_zero, strict=False) if not zero]
            for view, part in zip(self.views, self.slices, strict=True):
                if any(zero and bool(view[k].any()) for k, zero in enumerate(self.is_zero[part])):
                    return False
        if excess and not (EXCESS[0] < min(excess) and max(excess) < EXCESS[1]):
            return False
        return all(SQUARES[0] < square < SQUARES[1] for square in known)  # False for NaN

    def largest_error(self) -> float:
        """Bound on the relative error of the norms after the last `improve`; 0.0 if no bound is known."""
        if not 1 < self.side <= LARGEST_SQUARED:
            return 0.0
        error = 0.0
        for excess, scale, square in zip(self.excess, self.scales, self.squares.reshape(-1).tolist(), strict=True):
            upper = scale * excess ** (0.5 ** (SQUARINGS + 1))
            if square > 0:
                error = max(error, 1 - math.sqrt(square / upper)) if upper > square else error
        return error

    def measure(self) -> None:
        """Squares of the norms of the images of the vectors."""
        for long, vector, image, image_t, square in zip(
            self.long, self.vector_parts, self.images, self.images_t, self.square_parts, strict=True
        ):
            self.xp.matmul(long, vector, out=image)
            self.xp.matmul(image_t, image, out=square)

    def _square(self) -> None:
        xp, (gram, other) = self.xp, self.grams
        self.scales = self.squares.reshape(-1).tolist()
        for short, long, part in zip(self.short, self.long, self.gram_parts, strict=True):
            xp.matmul(short, long, out=part)
        # Divided by the last σ² the largest eigenvalue is about 1, and its powers do not overflow.
        xp.divide(gram, self._divisors(), out=gram)
        for _ in range(SQUARINGS):
            xp.matmul(gram, gram, out=other)
            gram, other = other, gram
        # The largest eigenvalue is at most a root of the sum of all their powers.
        excess = self.xp.einsum("gij,gij->g", gram, gram)
        self.excess = excess.tolist()
        is_far = min(self.excess) < SMALL_EXCESS or max(self.excess) > 1 / SMALL_EXCESS
        # The vector may have become orthogonal to the vector that leads now; adding a fixed vector corrects that.
        self.vectors += self.fixed
        for _ in range(PRODUCTS // 2):
            xp.matmul(gram, self.vectors, out=self.spare)
            xp.matmul(gram, self.spare, out=self.vectors)
            if is_far:  # the square of the vectors' length must not under- or overflow
                self.vectors /= (excess + (excess == 0))[:, None, None]
        self._normalise()

    def _chebyshev(self) -> None:
        """Apply a polynomial of the Gram matrix that is small on [0, b] and grows beyond b, without forming it."""
        self.vectors += self.fixed
        self._normalise()
        self.measure()
        # The Rayleigh quotient of a unit vector, σ̂², is at most the largest eigenvalue.
        over_b = 2 / (0.95 * self._divisors())
        before, now = self.before, self.vectors
        before[:] = now
        now[:] = over_b * self._gram() - before
        over_b *= 2
        for _ in range(CHEBYSHEV_DEGREE - 1):
            for long, part, image in zip(self.long, self.vector_parts, self.images, strict=True):
                self.xp.matmul(long, part, out=image)
            # 2 (2 A / b − 1) now − before, where A now is the Gram matrix's product.
            following = self._gram()
            following *= over_b
            following -= before
            before[:] = now
            now *= -2
            now += following
        self._normalise()

    def _gram(self) -> Array:
        """The Gram matrices times the vectors, from the images."""
        for short, image, part in zip(self.short, self.images, self.spare_parts, strict=True):
            self.xp.matmul(short, image, out=part)
        return self.spare

    def _divisors(self) -> Array:
        """The squares of the norms, with 1 instead of 0."""
        return self.squares + (self.squares == 0) if self.some_zero else self.squares

    def _normalise(self) -> None:
        xp = self.xp
        xp.matmul(self.vectors_t, self.vectors, out=self.lengths)
        xp.sqrt(self.lengths, out=self.lengths)
        if self.some_zero:
            self.lengths[self.lengths == 0] = 1
        self.vectors /= self.lengths

    def set_exact(self, matrices: list[Array]) -> None:
        """Vectors and images from the exact decomposition."""
        pairs = [leading_pair(torch.as_tensor(matrices[index])) for index in self.members]
        norms = [norm for sigma, _, _ in pairs for norm in sigma.tolist()]
        self.scale([_factor(norm, self.dtype) for norm in norms], [norm == 0 for norm in norms])
        for position, (sigma, u, v) in enumerate(pairs):
            scaled = (sigma * sigma.new_tensor(self.factors[self.slices[position]]))[:, None, None]
            own, image = (u, v) if self.by_rows[position] else (v, u)
            for target, source in (
                (self.vector_parts[position], own),
                (self.images[position], image * scaled),
                (self.square_parts[position], scaled * scaled),
            ):
                target[:] = source if isinstance(target, Tensor) else source.numpy()

    def outer(self, factors: Array) -> list[Array]:
        """Outer products (G, m, n) of left and right vectors, times factors (ΣG, 1, 1); overwritten by the next."""
        xp = self.xp
        xp.multiply(self.vectors, factors, out=self.spare)
        for part, image_t, product in zip(self.spare_parts, self.images_t, self.products, strict=True):
            xp.matmul(part, image_t, out=product)
        return [p if rows else p.swapaxes(1, 2) for p, rows in zip(self.products, self.by_rows, strict=True)]


class NormTracker:
    """Norms of stacks of matrices (G, m, n) from call to call; `TikhonovPenalty` documents cadence and tolerance."""

    def __init__(self, cadence: int, tolerance: float):
        if cadence != int(cadence) or cadence < 1:
            raise ValueError(f"cadence must be an integer of at least 1, got {cadence!r}.")
        if not 0 < tolerance < math.inf:
            raise ValueError(f"tolerance must be positive and finite, got {tolerance}.")
        self.cadence, self.tolerance = cadence, tolerance
        self.largest_error = 0.0
        self.forget()

    def forget(self) -> None:
        """Delete the vectors; the next call is exact. `largest_error` is kept."""
        self.matrices: list[Array] = []
        self.groups: list[_Group] = []
        self.norms: list[list[float]] = []  # of the last call
        self.interval = min(FIRST_CADENCE, self.cadence)
        self.calls_left = 0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"matrices": [], "groups": [], "norms": [], "calls_left": 0}

    def watch(self, matrices: list[Array]) -> None:
        """Set the stacks to be tracked: views of memory that changes between calls.

        Vectors are kept if the shapes are those of the previous stacks.
        """
        before = self.groups
        if [tuple(matrix.shape) for matrix in matrices] != [tuple(matrix.shape) for matrix in self.matrices]:
            self.forget()
            before = []
        self.matrices = matrices
        by_side: dict[int, list[int]] = {}
        for index, matrix in enumerate(matrices):
            by_side.setdefault(matrix.shape[1 if _by_rows(matrix) else 2], []).append(index)
        self.groups = [_Group(members, matrices) for members in by_side.values()]
        for group, old in zip(self.groups, before, strict=False):
            group.vectors[:], group.squares[:] = old.vectors, old.squares
            group.scale(old.factors, old.is_zero)

    def rescale(self) -> None:
        """Find the factors again, from squares and norms that were loaded."""
        for group in self.groups:
            norms = [norm for index in group.members for norm in self.norms[index]]
            squares = group.squares.reshape(-1).tolist()
            group.scale(
                [
                    2.0 ** round(math.log2(math.sqrt(square) / norm)) if 0 < norm < math.inf else 1.0
                    for square, norm in zip(squares, norms, strict=True)
                ],
                [norm == 0 for norm in norms],
            )

    def __call__(self) -> list[list[float]]:
        """Current norms of the stacks, (G,) for each."""
        is_exact = self.calls_left == 0
        estimate = None
        if _finite(self.norms) and not (is_exact and self.cadence == 1):
            with np.errstate(all="ignore"):
                for group in self.groups:
                    group.improve()
                if all(group.is_trusted() for group in self.groups):
                    estimate = self._read()
        if not is_exact and estimate is not None:
            norms = estimate
            self.largest_error = max(self.largest_error, *(group.largest_error() for group in self.groups))
        else:
            for group in self.groups:
                group.set_exact(self.matrices)
            norms = self._read()
            if is_exact and estimate is not None and _finite(norms):
                self._steer(norms, estimate)
            self.calls_left = self.interval
        self.calls_left -= 1
        self.norms = norms
        if not _finite(norms):
            self.calls_left = 0  # NaN in the weights: there are no vectors to start from
        return norms

    def gradients(self, slopes: list[list[float]]) -> list[Array]:
        """Σ slope · ∂σ/∂W for every stack, (G, m, n), where ∂σ/∂W = u vᵀ. The next call overwrites them."""
        found: list[Array] = [None] * len(self.matrices)
        for group in self.groups:
            # The product of vector and image has norm σ times the matrix's factor.
            pairs = [pair for index in group.members for pair in zip(slopes[index], self.norms[index], strict=True)]
            factors = [
                slope / (norm * factor) if norm else 0.0
                for (slope, norm), factor in zip(pairs, group.factors, strict=True)
            ]
            like = group.vectors
            array = like.new_tensor(factors) if isinstance(like, Tensor) else np.array(factors, like.dtype)
            for index, product in zip(group.members, group.outer(array[:, None, None]), strict=True):
                found[index] = product
        return found

    def _read(self) -> list[list[float]]:
        norms: list[list[float]] = [[]] * len(self.matrices)
        for group in self.groups:
            values = group.squares.reshape(-1).tolist()
            for index, part in zip(group.members, group.slices, strict=True):
                norms[index] = [
                    math.sqrt(value) / factor if value >= 0 else math.nan
                    for value, factor in zip(values[part], group.factors[part], strict=True)
                ]
        return norms

    def _steer(self, exact: list[list[float]], estimates: list[list[float]]) -> None:
        error = max(
            (norm - estimate) / norm if norm else 0.0
            for norms, estimated in zip(exact, estimates, strict=True)
            for norm, estimate in zip(norms, estimated, strict=True)
        )
        self.largest_error = max(self.largest_error, error)
        if error > self.tolerance:
            self.interval = max(1, self.interval // 2)
        elif error < self.tolerance / 10:
            self.interval = min(self.cadence, 2 * self.interval)


def _by_rows(matrix: Array) -> bool:
    """Whether the vectors of (G, m, n) are those of the rows: because rows are fewer, or equally cheap."""
    m, n = matrix.shape[1:]
    return bool(m <= max(n, SHARED_SIDE))


def _finite(norms: list[list[float]]) -> bool:
    """Whether there are norms, and all are finite."""
    return bool(norms) and all(norm < math.inf for part in norms for norm in part)


def _factor(norm: float, dtype: torch.dtype) -> float:
    """The power of two that brings a norm close to 1; 1 if the norm is ordinary, zero or not finite."""
    if not 0 < norm < math.inf or 2.0**-ORDINARY <= norm <= 2.0**ORDINARY:
        return 1.0
    largest = math.frexp(torch.finfo(dtype).max)[1] - 2  # of the exponents whose power has an inverse
    return float(2.0 ** max(-largest, min(largest, -math.frexp(norm)[1])))


def _fixed_vector(size: int, like: Array) -> Array:
    """A pseudo-random unit vector (size, 1), the same in every call."""
    vector = np.random.RandomState(0).standard_normal((size, 1))
    vector /= np.linalg.norm(vector)
    if not isinstance(like, Tensor):
        return vector.astype(like.dtype)
    return torch.from_numpy(vector).to(like.dtype).to(like.device)  # rounded first: MPS has no float64
