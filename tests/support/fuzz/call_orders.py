"""Whatever was called before, a fit gives what a fresh estimator gives; what fails or only looks changes nothing."""

import copy
import pickle

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklstm.exceptions import DivergenceError
from tests.support.estimators import CLASSIFIERS
from tests.support.fuzz.hostile import SEQUENCES, TARGETS, WEIGHTS, dressed
from tests.support.fuzz.parameters import a_parameter, parameters
from tests.support.fuzz.strategies import KINDS, dress, forms_of, labels, sequences, targets, weights
from tests.support.fuzz.watch import call, canonical, finding, learnt, must, same


class Data:
    """Sequences in some form, with targets or labels and weights."""

    def __init__(self, sequences, form, X, plain, y, weight):
        self.sequences, self.form, self.X, self.plain, self.y, self.weight = sequences, form, X, plain, y, weight

    def __repr__(self):
        return f"Data(X={self.X!r}, y={self.y!r}, weight={self.weight!r})"

    @property
    def channels(self):
        """What ``n_channels`` must be for these."""
        return self.sequences[0].shape[1] if self.form.startswith(("rows", "table")) and self.form != "tables" else 1


@st.composite
def some_data(draw, classifies):
    n = draw(st.integers(3, 9))
    parts = draw(sequences(n))
    form = draw(st.sampled_from(forms_of(parts)))
    plain, y = draw(labels(n) if classifies else targets(n, unit=True))
    return Data(parts, form, dress(parts, form), plain, y, draw(weights(n)))


class CallOrders(RuleBasedStateMachine):
    """One estimator in somebody's hands."""

    @initialize(data=st.data(), kind=st.sampled_from(KINDS))
    def begin(self, data, kind):
        self.classifies = kind in CLASSIFIERS
        self.pool = [data.draw(some_data(self.classifies)) for _ in range(3)]
        self.model = kind(**data.draw(parameters(kind)))
        self.parameters = canonical(self.model.get_params())
        self.forget()

    def forget(self):
        """Nothing is fitted."""
        self.data, self.outputs = None, None

    def remember(self, data):
        """Fitted, and what it says of the training data."""
        self.data, self.outputs = data, must(self.model, self.saying, data.X)
        self.limits = self.limits_now

    @property
    def limits_now(self):
        """Of the row sums: one that training did not enforce can be no part of a report."""
        return {name: value for name, value in self.model.get_params().items() if name.startswith("max_norm")}

    @property
    def saying(self):
        return "predict_proba" if self.classifies else "predict"

    def set(self, **values):
        must(self.model, "set_params", **values)
        self.parameters = canonical(self.model.get_params())

    def after(self, outcome, data):
        """Take note of the end of a fit; a divergence leaves something that predicts, or nothing."""
        if outcome.ok:
            self.remember(data)
        elif isinstance(outcome.error, DivergenceError):
            if hasattr(self.model, "net_") and not np.isfinite(must(self.model, self.saying, data.X)).all():
                finding("predictions after a divergence are not finite")
            self.model = clone(self.model)
            self.forget()

    @rule(which=st.integers(0, 2))
    def fit_unweighted(self, which):
        self.fit(self.pool[which], weighted=False)

    @rule(which=st.integers(0, 2))
    def fit_weighted(self, which):
        self.fit(self.pool[which], weighted=True)

    def fit(self, data, *, weighted):
        self.set(n_channels=data.channels)
        arguments = {"sample_weight": data.weight} if weighted else {}
        goes_on = bool(self.model.warm_start) and self.data is not None
        other = pickle.loads(pickle.dumps(self.model)) if goes_on else clone(self.model)
        outcome = call(self.model, "fit", data.X, data.y, **arguments)
        may_fail = outcome.ok or goes_on or isinstance(outcome.error, DivergenceError) or self.model.early_stopping
        if not may_fail:
            finding(f"a fit was refused: {outcome.error!r}")
        if outcome.ok:
            must(other, "fit", data.X, data.y, **arguments)
            same(learnt(self.model), learnt(other), "what is learnt and what a fresh estimator learns")
        self.after(outcome, data)

    @rule(which=st.integers(0, 2), weighted=st.booleans())
    def partial_fit(self, which, weighted):
        data = self.pool[which]
        first = self.data is None
        if first:
            self.set(n_channels=data.channels)
        arguments = {"sample_weight": data.weight} if weighted else {}
        if self.classifies and first:
            arguments["classes"] = np.unique(data.plain)
        other = pickle.loads(pickle.dumps(self.model))
        outcome = call(self.model, "partial_fit", data.X, data.y, **arguments)
        possible = not self.model.early_stopping and not isinstance(getattr(self.model, "class_weight", None), str)
        if first and possible and not outcome.ok:
            finding(f"a first partial fit was refused: {outcome.error!r}")
        if outcome.ok:
            must(other, "partial_fit", data.X, data.y, **arguments)
            same(learnt(self.model), learnt(other), "what is learnt and what an estimator that has travelled learns")
            if hasattr(self.model, "generalization_bound_"):
                finding("a bound survives a partial fit")
        self.after(outcome, data)

    @rule(data=st.data())
    def set_parameters(self, data):
        chosen = data.draw(parameters(type(self.model)))
        self.set(**chosen, early_stopping=data.draw(st.booleans()))

    @rule(which=st.integers(0, 2), data=st.data())
    def fit_with_any_parameter(self, which, data):
        task = self.pool[which]
        name, value = data.draw(a_parameter(type(self.model)))
        before = self.model.get_params()[name]
        self.set(**{name: value})
        outcome = call(self.model, "fit", task.X, task.y)
        self.set(**{name: before})
        if outcome.ok or isinstance(outcome.error, DivergenceError):
            self.model = clone(self.model)
            self.forget()

    @rule(
        which=st.integers(0, 2),
        method=st.sampled_from(["fit", "partial_fit"]),
        name=st.sampled_from(sorted(SEQUENCES)) | st.sampled_from(sorted(TARGETS)) | st.sampled_from(sorted(WEIGHTS)),
    )
    def train_on_what_is_bad(self, which, method, name):
        data, X, y, weight = self.pool[which], None, None, None
        n = len(data.sequences)
        if name in SEQUENCES:
            X, bad = dressed(data, name), SEQUENCES[name][1]
        elif name in TARGETS:
            y, bad = TARGETS[name][0](n), TARGETS[name][2 if self.classifies else 1]
        else:
            weight, bad = WEIGHTS[name][0](n), WEIGHTS[name][1]
        assume(bad)
        arguments = {"classes": np.unique(data.plain)} if self.classifies and method == "partial_fit" else {}
        X, y = data.X if name not in SEQUENCES else X, data.y if name not in TARGETS else y
        outcome = call(self.model, method, X, y, sample_weight=weight, **arguments)
        if outcome.ok and not (name == "one label" and method == "partial_fit"):
            finding(f"{method} took {name}")
        elif outcome.ok:
            self.remember(data)

    @precondition(lambda self: self.data is None)
    @rule(which=st.integers(0, 2), data=st.data())
    def use_before_fit(self, which, data):
        methods = {"predict": (), "certify": (0.1,), "score": (self.pool[which].y,)}
        if self.classifies:
            methods |= {"predict_proba": (), "predict_log_proba": (), "decision_function": (), "certified_radius": ()}
        method = data.draw(st.sampled_from(sorted(methods)))
        outcome = call(self.model, method, self.pool[which].X, *methods[method])
        if not isinstance(outcome.error, NotFittedError):
            finding(f"{method} before fit: {outcome.error!r}")

    @precondition(lambda self: self.data is not None)
    @rule(which=st.integers(0, 2), eps=st.sampled_from([0, 0.25]))
    def use(self, which, eps):
        must(self.model, "score", self.data.X, self.data.y)
        must(self.model, "certify", self.data.X, eps)
        data = self.pool[which]
        for method, arguments in (("predict", ()), ("certify", (eps,)), ("score", (data.y,))):
            call(self.model, method, data.X, *arguments)  # of another width, perhaps

    @rule()
    def travel(self):
        self.model = pickle.loads(pickle.dumps(self.model))

    @rule()
    def start_over(self):
        self.model = clone(self.model)
        if learnt(self.model):
            finding(f"a clone is fitted: {sorted(learnt(self.model))}")
        self.forget()

    @precondition(lambda self: self.data is not None)
    @rule(which=st.integers(0, 2), deep=st.booleans(), method=st.sampled_from(["fit", "partial_fit"]))
    def train_a_copy(self, which, deep, method):
        """A copy goes its own way, even a shallow one: what it trains is not what the original holds."""
        twin = copy.deepcopy(self.model) if deep else copy.copy(self.model)
        data = self.pool[which]
        call(twin, method, data.X, data.y)

    @precondition(lambda self: hasattr(self.model, "generalization_bound_"))
    @rule()
    def train_the_quantized(self):
        if self.limits_now != self.limits:
            return
        report = must(self.model, "generalization_report", self.data.X, self.data.y)
        quantized = self.model.quantized(report["occam"])
        must(quantized, "predict", self.data.X)
        call(quantized, "partial_fit", self.data.X, self.data.y)

    @invariant()
    def the_parameters_are_those_set(self):
        if hasattr(self, "model"):
            same(canonical(self.model.get_params()), self.parameters, "parameters set and parameters found")

    @invariant()
    def predictions_stay(self):
        if getattr(self, "data", None) is not None:
            same(must(self.model, self.saying, self.data.X), self.outputs, "predictions then and now")


SHARE, STEPS = 0.06, 20
