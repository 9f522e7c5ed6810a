"""The fuzzer finds defects that are planted for it: its silence says something."""

import pytest
import torch

from tests.support.fuzz import campaign
from tests.support.fuzz.defects import DEFECTS

ANY_ROUTE = "valid_input_is_taken_and_every_route_agrees"
ANY_FORM = "the_same_values_in_any_form_make_the_same_network"
# The property that is to find it, in how many examples of all properties, and in which words.
FOUND_BY = {
    "a failed fit leaves the estimator half fitted": ("targets_and_labels", 1500, "changed the estimator"),
    "fit seeds torch's global generator": (ANY_ROUTE, 50, "changed torch's random state"),
    "predictions depend on the other rows": (ANY_ROUTE, 100, "alone and among others"),
    "predict writes into the sequences of a list": (ANY_ROUTE, 100, "changed its arguments"),
    "certificates are half as wide": (ANY_ROUTE, 200, "does not contain the outputs for an input within eps"),
    "fit warns": ("weights", 300, "warned RuntimeWarning: numbers were harmed"),
    "predict of a tuple raises an IndexError": (ANY_FORM, 600, "IndexError: tuple index"),
    "a fit knows how many came before": ("call_orders", 600, "what a fresh estimator learns"),
    "probabilities sum to a little more than 1": (ANY_ROUTE, 100, "do not sum to 1"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found(name):
    found_by, examples, words = FOUND_BY[name]
    with DEFECTS[name](), torch.random.fork_rng(devices=[]):
        record = campaign.run(found_by, profile="ci", examples=examples, shrink=False)
    found = [finding["what"] for finding in record["findings"]]
    assert any(words in what for what in found), f"{record['examples']} examples did not show that {name}: {found}"
