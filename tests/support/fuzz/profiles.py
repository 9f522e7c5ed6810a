"""How many examples, and from which source of chance: "ci" for every run of the suite, "long" for the benchmark."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

# Even without a database hypothesis keeps a cache beside the tests; where there can be no directory it does without.
set_hypothesis_home_dir(Path(os.devnull) / "hypothesis")

_COMMON = {
    "deadline": None,
    "database": None,
    # An example takes milliseconds, but the first one imports and compiles.
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
}
# Examples of all properties together.
settings.register_profile("ci", derandomize=True, max_examples=100, **_COMMON)
settings.register_profile("long", derandomize=False, max_examples=2000, **_COMMON)


@dataclass(frozen=True)
class Property:
    """A check, what it is given, and its share of all examples."""

    check: Callable
    strategies: dict
    share: float


PROPERTIES: dict[str, Property] = {}


def share(fraction, profile="ci", examples=None, **options):
    """Settings of a property: of the examples of a profile, or of so many, this fraction."""
    whole = settings.get_profile(profile)
    return settings(whole, max_examples=max(1, round(fraction * (examples or whole.max_examples))), **options)


def holds(fraction, **strategies):
    """Enter a check of examples into ``PROPERTIES``: the suite and the benchmark run what is there."""

    def decorate(check):
        PROPERTIES[check.__name__] = Property(check, strategies, fraction)
        return check

    return decorate
