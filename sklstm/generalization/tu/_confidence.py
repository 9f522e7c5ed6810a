"""The confidence term of Lemma 7 of Tu et al. 2020, at δ or at what a union bound has left of it."""

import math

__all__ = ["confidence_term"]


def confidence_term(delta: float, n_samples: int, log_price: float = 0.0) -> float:
    r""":math:`3\sqrt{\log(2/\delta')/(2n)}` with :math:`\delta' = \delta\,e^{-\text{log\_price}}`."""
    # Logarithms are added: δ' itself may be below float64.
    return 3 * math.sqrt((math.log(2 / delta) + log_price) / (2 * n_samples))
