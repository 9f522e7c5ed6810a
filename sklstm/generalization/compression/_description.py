"""A network in integers: what the fine-tuned Occam bound is about, and its message."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ._arithmetic import Decoder, Encoder, decode_integers, encode_integers, integer_bits
from ._structure import Structure

__all__ = ["Description", "step_size"]

Integers = NDArray[np.int64]

# Steps are (1 + j/4)·2^e, a ratio of 1.14 to 1.25 apart, over 64 binary orders of magnitude: 8 bits.
_STEPS_PER_OCTAVE = 4
_LOWEST_OCTAVE = -48
N_STEPS = 64 * _STEPS_PER_OCTAVE
# The coder ends a message with at most two bits more than its ideal length, rounded up.
_END = 2


def step_size(number: int) -> float:
    """Step of a given number, 0 to 255: an exact binary fraction, the same on every machine."""
    octave, part = divmod(number, _STEPS_PER_OCTAVE)
    return math.ldexp(1 + part / _STEPS_PER_OCTAVE, octave + _LOWEST_OCTAVE)


def step_number(size: float) -> int:
    """Number of the step nearest below or at `size`, within the range of steps."""
    mantissa, exponent = math.frexp(size)  # mantissa in [1/2, 1)
    number = (exponent - 1 - _LOWEST_OCTAVE) * _STEPS_PER_OCTAVE + int((2 * mantissa - 1) * _STEPS_PER_OCTAVE)
    return min(max(number, 0), N_STEPS - 1)


@dataclass(frozen=True, eq=False)
class Description:
    r"""Values of a `Structure` on a grid: :math:`z_{ij} = s\,2^{-e_j}\,k_{ij}` with a step s a part.

    Attributes
    ----------
    structure : Structure
        Fixed before the data is seen; not in the message.
    steps : dict of str to int
        Number of the step s of each part, see :func:`step_size`.
    finer : dict of str to ndarray of int
        :math:`e_j \ge 0`, one a column of a matrix (one for a vector): how much finer the grid is there. A channel with
        a large mean needs it.
    integers : dict of str to ndarray of int64
        k, in the shapes of the parts.
    """

    structure: Structure
    steps: dict[str, int]
    finer: dict[str, Integers]
    integers: dict[str, Integers]

    def grid(self, part: str) -> Tensor:
        """Step of every column of a part, float64."""
        return step_size(self.steps[part]) * torch.from_numpy(np.exp2(-self.finer[part].astype(np.float64)))

    def values(self) -> dict[str, Tensor]:
        """The parts, float64, exact."""
        return {part: self.grid(part) * torch.from_numpy(k.astype(np.float64)) for part, k in self.integers.items()}

    def weights(self) -> dict[str, Tensor]:
        """The weights of the network, in its dtypes."""
        return self.structure.weights(self.values())

    @property
    def ideal_bits(self) -> float:
        """Length of the message short of the coder's end, from counts alone."""
        fields = len(self.steps) * math.log2(N_STEPS)
        return fields + sum(integer_bits(part) for parts in (self.finer, self.integers) for part in parts.values())

    @property
    def bits_at_most(self) -> int:
        """What `encode` will not exceed; cheap, for use in a search."""
        return math.ceil(self.ideal_bits) + _END

    @cached_property
    def message(self) -> tuple[int, int]:
        """The code, a non-negative integer, and its length in bits."""
        encoder = Encoder()
        for part in self.structure.shapes:
            encoder.uniform(self.steps[part], N_STEPS)
            encode_integers(encoder, self.finer[part], (part, "finer"))
            encode_integers(encoder, self.integers[part].ravel(), part)
        return encoder.finish()

    @property
    def n_bits(self) -> int:
        """K, the length of the message."""
        return self.message[1]

    @classmethod
    def decode(cls, code: int, n_bits: int, structure: Structure) -> "Description":
        """Inverse of `message`.

        Parameters
        ----------
        code, n_bits : int
        structure : Structure
            The one that the message was made with; its values are not needed.

        Returns
        -------
        Description

        Raises
        ------
        ValueError
            If the message ends too early or is out of range.
        """
        decoder = Decoder(code, n_bits)
        steps, finer, integers = {}, {}, {}
        for part, shape in structure.shapes.items():
            steps[part] = decoder.uniform(N_STEPS)
            finer[part] = decode_integers(decoder, columns(shape), (part, "finer"))
            integers[part] = decode_integers(decoder, math.prod(shape), part).reshape(shape)
        return cls(structure, steps, finer, integers)

    def replaced(self, integers: Mapping[str, Integers]) -> "Description":
        """The same grid with other integers."""
        return Description(self.structure, self.steps, self.finer, dict(integers))


def columns(shape: tuple[int, ...]) -> int:
    """Columns of a part that have a grid of their own."""
    return shape[-1] if len(shape) == 2 else 1
