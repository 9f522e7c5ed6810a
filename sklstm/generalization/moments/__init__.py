"""Moments of the input: what the theorems need to know about the data, at any size."""

from ._gershgorin import correlation_lower_bound, gershgorin_lower_bound, identity_lower_bound
from ._moments import input_norms, smallest_eigenvalue
from ._second_moment import SecondMoment, second_moment

__all__ = [
    "SecondMoment",
    "correlation_lower_bound",
    "gershgorin_lower_bound",
    "identity_lower_bound",
    "input_norms",
    "second_moment",
    "smallest_eigenvalue",
]
