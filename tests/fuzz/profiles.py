"""How many examples, and from which source of chance: "ci" for every run of the suite, "long" for the benchmark."""

import os
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

CI_EXAMPLES = 100

# Even without a database hypothesis keeps a cache beside the tests; where there can be no directory it does without.
set_hypothesis_home_dir(Path(os.devnull) / "hypothesis")

_COMMON = {
    "deadline": None,
    "database": None,
    # An example takes milliseconds, but the first one imports and compiles.
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
}
settings.register_profile("ci", derandomize=True, max_examples=CI_EXAMPLES, **_COMMON)
settings.register_profile("long", derandomize=False, max_examples=2000, print_blob=False, **_COMMON)

_active = {"profile": "ci", "examples": CI_EXAMPLES}


def use_long(examples):
    """Give the tests that are imported from now on their shares of so many examples, drawn by chance."""
    _active.update(profile="long", examples=examples)


def share(fraction, **options):
    """Settings of a test that gets this fraction of all examples."""
    examples = max(1, round(fraction * _active["examples"]))
    return settings(settings.get_profile(_active["profile"]), max_examples=examples, **options)
