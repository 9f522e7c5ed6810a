"""Kinds of input noise: how each is drawn, and quantities that bounds for training with noise need."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["NOISES", "Noise", "RepeatedNoise", "noise_of_kind"]

_Array = NDArray[Any]
# Number of rows in a block, for the expectations of dropout.
_BLOCK = 256


class Noise(Protocol):
    r"""Noise :math:`\epsilon` on the inputs with :math:`E[\epsilon|x] = 0` and independent entries given x.

    Examples
    --------
    `NOISES` holds such kinds. Uniform noise of standard deviation σ is between −σ√3 and σ√3, and in one channel the
    mean of its absolute value is σ√3/2:

    >>> import numpy as np
    >>> import torch
    >>> from sklstm.noise import NOISES
    >>> uniform = NOISES["uniform"]
    >>> x = np.zeros((1000, 5, 1))
    >>> epsilon = uniform.draw_array(x, 0.5, np.random.default_rng(0))
    >>> bool(np.abs(epsilon).max() <= 0.5 * np.sqrt(3)), round(float(epsilon.std()), 1)
    (True, 0.5)
    >>> uniform.expected_largest(x, 0.5).round(3).tolist()
    [0.866, 0.866, 0.866, 0.866, 0.866]
    >>> uniform.root_gain(x)  # additive noise raises the smallest eigenvalue by σ²
    1.0
    >>> uniform.variances(np.array([1.0, 4.0]), 0.5)  # of any x; dropout's would be in proportion to x²
    array([0.25, 0.25])
    >>> uniform.draw_tensor(torch.zeros(2, 5, 1), 0.5, torch.Generator().manual_seed(0)).shape
    torch.Size([2, 5, 1])
    """

    @property
    def law(self) -> str:
        """The distribution in a sentence."""

    @property
    def largest_formula(self) -> str:
        r"""Formula of :math:`E\|\epsilon_i\|_\infty`."""

    @property
    def gain_formula(self) -> str:
        r"""Formula of the amount that the noise adds to :math:`\lambda_{\min}`."""

    @property
    def estimated(self) -> bool:
        """Whether the two expectations below depend on the distribution of x."""

    def draw_tensor(self, x: Tensor, sigma: float, generator: torch.Generator | None) -> Tensor:
        """Draw noise for the inputs of a network.

        Parameters
        ----------
        x : Tensor of shape (n, L, d)
            The inputs.
        sigma : float
            Standard deviation.
        generator : torch.Generator or None
            A generator on the CPU, where the noise is drawn.

        Returns
        -------
        Tensor of shape (n, L, d)
            Has the dtype and the device of x.
        """

    def draw_array(self, x: _Array, sigma: float | _Array, rng: np.random.Generator) -> _Array:
        """Draw noise for the inputs from which a bound is computed.

        Parameters
        ----------
        x : ndarray of shape (n, L, d)
            The inputs.
        sigma : float or ndarray
            Standard deviation, or standard deviations that broadcast to x.
        rng : numpy Generator
            Source of the noise.

        Returns
        -------
        ndarray of shape (n, L, d), float64
        """

    def expected_largest(self, x: _Array, sigma: float) -> NDArray[np.float64]:
        r"""Expectation :math:`E\|\epsilon_i\|_\infty / \sigma` for each step i, over the noise and the rows of x.

        Parameters
        ----------
        x : ndarray of shape (n, L, d)
            The inputs.
        sigma : float
            Standard deviation.

        Returns
        -------
        ndarray of shape (L,)
        """

    def variances(self, squares: _Array, sigma: float) -> NDArray[np.float64]:
        r"""Expected squares :math:`E\epsilon_j^2` of the noise of every entry.

        Parameters
        ----------
        squares : ndarray of shape (...)
            Means of the squares of the entries, :math:`E x_j^2`.
        sigma : float
            Standard deviation.

        Returns
        -------
        ndarray of shape (...)
        """

    def root_gain(self, x: _Array) -> float:
        r"""Factor c for which the noise raises :math:`\lambda_{\min}` of :math:`E[xx^\top]` by at least (cσ)².

        Parameters
        ----------
        x : ndarray of shape (n, L, d)
            The inputs.

        Returns
        -------
        float
        """


@dataclass(frozen=True)
class _Additive:
    """Independent entries of mean 0 and standard deviation σ, independent of x."""

    law: str
    largest_formula: str
    tensor: Callable[[tuple[int, ...], torch.dtype, torch.Generator | None], Tensor]  # standard deviation 1
    array: Callable[[tuple[int, ...], np.random.Generator], _Array]  # standard deviation 1
    largest: Callable[[int], float]  # E max over d channels, standard deviation 1
    gain_formula: str = "σ²"
    estimated: bool = False

    def draw_tensor(self, x: Tensor, sigma: float, generator: torch.Generator | None) -> Tensor:
        # Drawn on the CPU: the noise must not depend on the device of the data.
        return sigma * self.tensor(tuple(x.shape), x.dtype, generator).to(x.device)

    def draw_array(self, x: _Array, sigma: float | _Array, rng: np.random.Generator) -> _Array:
        return sigma * self.array(x.shape, rng)

    def expected_largest(self, x: _Array, sigma: float) -> NDArray[np.float64]:
        return np.full(x.shape[1], self.largest(x.shape[2]))

    def variances(self, squares: _Array, sigma: float) -> NDArray[np.float64]:
        return np.full_like(squares, sigma**2, dtype=np.float64)

    def root_gain(self, x: _Array) -> float:
        return 1.0


@dataclass(frozen=True)
class _Dropout:
    r"""Entries set to zero: :math:`\epsilon = x(\xi - 1)`, with relative standard deviation σ.

    ξ = 0 with probability :math:`p = \sigma^2/(1+\sigma^2)`, else :math:`\xi = 1/(1-p) = 1 + \sigma^2`, independently
    for each entry. So :math:`E\xi = 1` and :math:`E(\xi-1)^2 = p/(1-p) = \sigma^2`.

    **Largest entry.** Lemma 11 of Tu et al. 2020 holds for each x, so it holds with :math:`E\|\epsilon_i\|_\infty` over
    x and ξ. Given x, let :math:`a_1 \ge \dots \ge a_d` be the sorted :math:`|x_{ic}|`. Then :math:`|\xi-1|` is 1 with
    probability p and σ² otherwise. Call the larger of the two h, the smaller l, and q the probability of h. If j is the
    first index at which h occurs, the maximum is :math:`\max(h a_j, l a_1)`. Later entries are no larger than
    :math:`h a_j`. Earlier ones are no larger than :math:`l a_1`, which occurs if j > 1 and is below :math:`h a_1` if j
    = 1. Hence

    .. math:: E_\xi\|\epsilon_i\|_\infty = \sum_{j=1}^d q(1-q)^{j-1}\max(h a_j, l a_1) + (1-q)^d\, l a_1.

    **Second moment.** :math:`E[\xi_a\xi_b] = 1` for a ≠ b and :math:`E\xi_a^2 = 1 + \sigma^2`, so that
    :math:`E[(x+\epsilon)(x+\epsilon)^\top] = E[xx^\top] + \sigma^2\operatorname{diag}(E x_j^2)`. Its smallest
    eigenvalue is at least :math:`\lambda_{\min} + \sigma^2\min_j E x_j^2` (Weyl).

    Both results are also expectations over x, and are estimated on a sample.
    """

    law: str = (
        "The noise is dropout: each entry of x is independently set to 0 with probability σ²/(1 + σ²), "
        "and multiplied by 1 + σ² otherwise."
    )
    largest_formula: str = "E‖ε_i‖∞"
    gain_formula: str = "σ² min_j E x_j²"
    estimated: bool = True

    def draw_tensor(self, x: Tensor, sigma: float, generator: torch.Generator | None) -> Tensor:
        keep = torch.rand(x.shape, generator=generator, dtype=x.dtype) >= sigma**2 / (1 + sigma**2)
        # x · (−1) is exact: x + ε is 0 where an entry is dropped.
        kept, dropped = torch.tensor((sigma**2, -1.0), dtype=x.dtype)
        return x * torch.where(keep, kept, dropped).to(x.device)

    def draw_array(self, x: _Array, sigma: float | _Array, rng: np.random.Generator) -> _Array:
        keep = rng.random(x.shape) >= sigma**2 / (1 + sigma**2)
        return np.asarray(x, dtype=np.float64) * np.where(keep, sigma**2, -1.0)

    def expected_largest(self, x: _Array, sigma: float) -> NDArray[np.float64]:
        n, _, d = x.shape
        p = sigma**2 / (1 + sigma**2)
        high, low, q = (1.0, sigma**2, p) if sigma <= 1 else (sigma**2, 1.0, 1 - p)
        weights = q * (1 - q) ** np.arange(d)  # (d,)
        total = np.zeros(x.shape[1])
        for block in _blocks(x):
            ordered = -np.sort(-np.abs(block), axis=2)  # (b, L, d)
            lowest = low * ordered[:, :, :1]
            expected = np.maximum(high * ordered, lowest) @ weights + (1 - q) ** d * lowest[:, :, 0]  # (b, L)
            total += (expected / (n * sigma)).sum(axis=0)
        return total

    def variances(self, squares: _Array, sigma: float) -> NDArray[np.float64]:
        return sigma**2 * np.asarray(squares, dtype=np.float64)

    def root_gain(self, x: _Array) -> float:
        scale = max(float(np.abs(block).max()) for block in _blocks(x))
        if scale == 0:
            return 0.0
        squares = np.zeros(x.shape[1:])
        for block in _blocks(x):
            squares += np.square(block / scale).sum(axis=0)
        return scale * math.sqrt(float(squares.min()) / len(x))


class RepeatedNoise:
    """Noise for an array, drawn again at every reading instead of stored; the numbers are the same each time.

    Slices of rows equal those of the array ``noise.draw_array(x, sigma, np.random.default_rng(seed))``, if they are
    read in order, from the first row to the last. A slice from row 0 starts a new reading.

    Parameters
    ----------
    noise : Noise
        The kind of noise.
    x : ndarray of shape (n, L, d)
        The inputs.
    sigma : float
        Standard deviation.
    seed : int
        Seed of numpy's default generator.

    Attributes
    ----------
    shape : tuple of int
        (n, L, d), the shape of x.
    ndim : int
        3.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.noise import RepeatedNoise, noise_of_kind
    >>> gaussian, x = noise_of_kind("gaussian"), np.zeros((4, 3, 1))
    >>> noise = RepeatedNoise(gaussian, x, sigma=0.1, seed=0)
    >>> whole = gaussian.draw_array(x, 0.1, np.random.default_rng(0))
    >>> bool(np.array_equal(np.concatenate([noise[:1], noise[1:]]), whole))
    True
    >>> bool(np.array_equal(noise[:4], whole))  # a new reading
    True
    """

    dtype = np.dtype(np.float64)

    def __init__(self, noise: Noise, x: _Array, sigma: float, seed: int):
        self.noise, self.x, self.sigma, self.seed = noise, x, sigma, seed
        self.shape, self.ndim = x.shape, x.ndim
        self._next, self._rng = 0, np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: slice) -> _Array:
        start, stop, _ = rows.indices(len(self.x))
        if start == 0:
            self._next, self._rng = 0, np.random.default_rng(self.seed)
        if start != self._next:
            raise ValueError(f"noise must be read in order of rows: the next row is {self._next}, but got {start}.")
        self._next = stop
        return self.noise.draw_array(self.x[start:stop], self.sigma, self._rng)


def _blocks(x: _Array) -> Iterator[NDArray[np.float64]]:
    for start in range(0, len(x), _BLOCK):
        yield np.asarray(x[start : start + _BLOCK], dtype=np.float64)


def _uniform(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator | None) -> Tensor:
    return math.sqrt(3) * (2 * torch.rand(shape, generator=generator, dtype=dtype) - 1)


def _laplace(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator | None) -> Tensor:
    # The difference of two exponentials. The inverse of the distribution function would cut off the tails in float32.
    first, second = torch.empty((2, *shape), dtype=dtype).exponential_(generator=generator)
    return (first - second) / math.sqrt(2)


#: Kinds of noise by name. To add a kind, add an entry.
NOISES: dict[str, Noise] = {
    "gaussian": _Additive(
        law="The noise is Gaussian with independent entries of standard deviation σ, independent of the data.",
        largest_formula="σ √(2 log 2d)",
        tensor=lambda shape, dtype, generator: torch.randn(shape, generator=generator, dtype=dtype),
        array=lambda shape, rng: rng.standard_normal(shape),
        largest=lambda d: math.sqrt(2 * math.log(2 * d)),  # Lemma 12 of Tu et al. 2020, an upper bound
    ),
    "uniform": _Additive(
        law="The noise is uniform on ±σ√3 with independent entries, independent of the data.",
        largest_formula="σ √3 d/(d+1)",
        tensor=_uniform,
        array=lambda shape, rng: rng.uniform(-math.sqrt(3), math.sqrt(3), shape),
        largest=lambda d: math.sqrt(3) * d / (d + 1),  # |ε| is uniform: the mean of the largest of d
    ),
    "laplace": _Additive(
        law="The noise is Laplace with independent entries of standard deviation σ, independent of the data.",
        largest_formula="(σ/√2) Σ_{j≤d} 1/j",
        tensor=_laplace,
        array=lambda shape, rng: rng.laplace(scale=1 / math.sqrt(2), size=shape),
        largest=lambda d: sum(1 / j for j in range(d, 0, -1)) / math.sqrt(2),  # |ε| is exponential, mean σ/√2
    ),
    "dropout": _Dropout(),
}


def noise_of_kind(kind: str) -> Noise:
    """Return a kind of noise by its name.

    Parameters
    ----------
    kind : str
        A key of `NOISES`.

    Returns
    -------
    Noise

    Raises
    ------
    ValueError
        If `NOISES` has no such key.

    Examples
    --------
    >>> from sklstm.noise import noise_of_kind
    >>> noise_of_kind("uniform").law
    'The noise is uniform on ±σ√3 with independent entries, independent of the data.'
    >>> noise_of_kind("dropout").gain_formula
    'σ² min_j E x_j²'
    """
    # `kind in NOISES` alone would raise another error for a list, which is not hashable.
    if not isinstance(kind, str) or kind not in NOISES:
        raise ValueError(f"the kind of noise must be one of {', '.join(map(repr, NOISES))}; got {kind!r}")
    return NOISES[kind]
