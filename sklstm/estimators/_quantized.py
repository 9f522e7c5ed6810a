"""The predictor that the Occam bound of an estimator is about."""

import copy
from typing import Any, Self, cast

from sklearn.base import BaseEstimator

from sklstm.generalization import GeneralizationReport, OccamBound
from sklstm.training import undisturbed

from ._compression import build


class _Unread:
    """What the diagram shows in place of a value that is made when it is read."""

    def __repr__(self) -> str:
        return "made when it is read"


class HasQuantized(BaseEstimator):
    """`quantized_`: the predictor that the Occam bound is about."""

    net_: Any
    generalization_report_: GeneralizationReport

    @property
    def quantized_(self) -> Self:
        """Fitted estimator with the quantised weights, for `predict` and all else; it has no report of its own.

        Raises
        ------
        AttributeError
            Before `fit`, or if ``compute_bound=False``.
        """
        if not hasattr(self, "generalization_report_") or "_is_on_display" in self.__dict__:
            raise AttributeError(
                "quantized_ is there after fit with compute_bound=True, until partial_fit changes the weights"
            )
        bound = cast(OccamBound, self.generalization_report_["occam"])
        recurrent = next(tensor for name, tensor in bound.weights.items() if "weight_hh" in name)
        hidden_size = recurrent.shape[1]
        with undisturbed():
            module = build(self.net_, hidden_size, 0).to(next(self.net_.module_.parameters()).device)
            module.load_state_dict(bound.weights)
        twin = copy.copy(self)
        twin.net_ = self.net_.twin(module)
        twin.net_.__dict__["module__hidden_size"] = hidden_size  # past skorch, which would build a network anew
        twin.__dict__["hidden_size"] = hidden_size
        twin._quantized_cap = bound.scale  # says to `holdout_bound` which predictor this is
        if hasattr(twin, "_set_gains"):
            with undisturbed():
                twin._set_gains()
        for name in ("generalization_report_", "generalization_bound_"):
            delattr(twin, name)
        return twin

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        # scikit-learn's, for its diagram, reads every attribute; to build a network is too much for a glance.
        shown = copy.copy(self)
        shown.__dict__["_is_on_display"] = True
        table = super(HasQuantized, shown)._get_fitted_attr_html(doc_link)
        if hasattr(self, "generalization_report_"):
            table["quantized_"] = {"type_name": type(self).__name__, "value": _Unread()}
            table.data = dict(sorted(table.data.items()))
        return table
