"""Bad input is refused in words, with nothing changed; doubtful input is taken or refused, and breaks nothing."""

import re

import numpy as np
from hypothesis import strategies as st

from sklstm import noise_interval, prediction_interval, smoothed_predict, smoothed_radius
from sklstm.exceptions import DivergenceError
from tests.support.fuzz.hostile import SEQUENCES, SIZES, TARGETS, WEIGHTS, dressed
from tests.support.fuzz.parameters import a_parameter, must_be_refused
from tests.support.fuzz.profiles import holds
from tests.support.fuzz.strategies import tasks
from tests.support.fuzz.watch import call, canonical, finding, must, refused, same

# Parameters that only some way of training reads, and how to make it read them.
READ_WITH = {
    "validation_fraction": {"early_stopping": True},
    "validation_split": {"early_stopping": True, "validation_fraction": 0.5, "validation_gap": 0},
    "validation_gap": {"early_stopping": True, "validation_fraction": 0.5, "validation_split": "last"},
    "n_iter_no_change": {"early_stopping": True, "validation_fraction": 0.5},
}


def predictions(model, X):
    return must(model, "predict_proba" if hasattr(model, "classes_") else "predict", X)


def rehearsal(task, refit):
    """An estimator, fitted already or not."""
    model = task.model()
    if refit:
        must(model, "fit", task.X, task.y)
    return model


@holds(0.16, task=tasks(), data=st.data(), refit=st.booleans())
def any_value_of_any_parameter(task, data, refit):
    name, value = data.draw(a_parameter(task.kind))
    model = rehearsal(task, refit)
    before = canonical(predictions(model, task.X)) if refit else None
    own = model.get_params()
    model.set_params(**READ_WITH.get(name, {}), **{name: value})
    about = f"{name}={value!r}"
    if must_be_refused(name, value):
        error = refused(model, "fit", task.X, task.y, about=about)
    else:
        error = call(model, "fit", task.X, task.y).error
    if error is None:
        if not np.isfinite(predictions(model, task.X)).all():
            finding(f"{about} was taken, and predictions are not finite")
        must(model, "certify", task.X, 0.1)
        return
    by_others = r"diverged|cannot hold out"  # what the value leads to, or what it was tried with
    if not re.search(rf"\b{name}\b|{by_others}", str(error)):
        finding(f"{about} is refused without its name: {type(error).__name__}: {error}")
    if refit and not isinstance(error, DivergenceError):
        if name == "layout":  # says how X is to be read, in `predict` too
            model.set_params(layout=own[name])
        same(canonical(predictions(model, task.X)), before, f"predictions before and after a fit with {about}")


@holds(
    0.08,
    task=tasks(),
    name=st.sampled_from(sorted(SEQUENCES)),
    method=st.sampled_from(["fit", "fit", "partial_fit"]),
    refit=st.booleans(),
)
def sequences_to_train_on(task, name, method, refit):
    X, must_refuse = dressed(task, name), SEQUENCES[name][1]
    model = rehearsal(task, refit)
    model.set_params(early_stopping=False, **({"class_weight": None} if task.classifies else {}))
    arguments = {"classes": np.unique(task.plain)} if task.classifies and method == "partial_fit" else {}
    if must_refuse:
        refused(model, method, X, task.y, about=f"X: {name}", **arguments)
    else:
        call(model, method, X, task.y, **arguments)


@holds(0.08, task=tasks(), name=st.sampled_from(sorted(TARGETS)), refit=st.booleans(), incremental=st.booleans())
def targets_and_labels(task, name, refit, incremental):
    make, by_regressors, by_the_classifier = TARGETS[name]
    y = make(len(task.sequences))
    model = rehearsal(task, refit).set_params(early_stopping=False)
    must_refuse = by_the_classifier if task.classifies else by_regressors
    method = "partial_fit" if incremental and not task.classifies else "fit"
    if must_refuse:
        refused(model, method, task.X, y, about=f"y: {name}")
    elif call(model, method, task.X, y).ok:
        predicted = must(model, "predict", task.X)
        if not task.classifies and not np.isfinite(predicted).all():
            finding(f"y: {name} was taken, and predictions are not finite")


@holds(0.06, task=tasks(), name=st.sampled_from(sorted(WEIGHTS)), refit=st.booleans())
def weights(task, name, refit):
    make, must_refuse = WEIGHTS[name]
    weight = make(len(task.sequences))
    model = rehearsal(task, refit)
    if must_refuse:
        refused(model, "fit", task.X, task.y, weight, about=f"sample_weight: {name}")
    elif call(model, "fit", task.X, task.y, weight).ok and not np.isfinite(predictions(model, task.X)).all():
        finding(f"sample_weight: {name} was taken, and predictions are not finite")


@holds(
    0.08,
    task=tasks(),
    name=st.sampled_from(sorted(SEQUENCES)),
    size=st.sampled_from(sorted(SIZES)),
    data=st.data(),
)
def sequences_to_predict_and_sizes_to_certify(task, name, size, data):
    model = rehearsal(task, True)
    X, must_refuse = dressed(task, name), SEQUENCES[name][1]
    methods = ["predict", "score", "certify"]
    if task.classifies:
        methods += ["predict_proba", "predict_log_proba", "decision_function", "certified_radius"]
    for method in data.draw(st.lists(st.sampled_from(methods), unique=True, min_size=1, max_size=2)):
        arguments = {"score": (task.y,), "certify": (0.1,)}.get(method, ())
        if must_refuse:
            refused(model, method, X, *arguments, about=f"X: {name}")
        else:
            call(model, method, X, *arguments)
    eps, must_refuse = SIZES[size]
    how = data.draw(st.sampled_from(["best", "intervals", "mean-value", "linear"]))
    if must_refuse:
        refused(model, "certify", task.X, eps, method=how, about=f"eps: {size}")
        return
    outcome = call(model, "certify", task.X, eps, method=how)
    if outcome.ok:
        lower, upper = outcome.value
        if np.isnan(lower).any() or np.isnan(upper).any() or not (lower <= upper).all():
            finding(f"certify with eps: {size}, method={how!r} returned {lower} and {upper}")


@holds(
    0.06,
    task=tasks(),
    name=st.sampled_from(sorted(SEQUENCES)),
    size=st.sampled_from(sorted(SIZES)),
    data=st.data(),
)
def sequences_and_sizes_of_intervals_and_votes(task, name, size, data):
    model = rehearsal(task, True)
    under = {"confidence": 0.9, "random_state": 0, "n_draws": 20}
    functions = {
        noise_interval: lambda X, sigma: call(model, noise_interval, X, sigma, coverage=0.5, **under),
        prediction_interval: lambda X, eps: call(
            model, prediction_interval, task.sequences[1:], task.plain[1:], X, coverage=0.5, eps=eps
        ),
    }
    if task.classifies:
        functions[smoothed_radius] = lambda X, sigma: call(model, smoothed_radius, X, sigma, **under)
        functions[smoothed_predict] = lambda X, sigma: call(model, smoothed_predict, X, sigma, **under)
    function = data.draw(st.sampled_from(sorted(functions, key=lambda each: each.__name__)))
    (X, bad_X), (sigma, bad_sigma) = (dressed(task, name), SEQUENCES[name][1]), SIZES[size]
    if functions[function](X, 0.25).ok and bad_X:
        finding(f"{function.__name__} took X: {name}")
    outcome = functions[function](task.X, sigma)
    if outcome.ok and bad_sigma:
        finding(f"{function.__name__} took sizes: {size}")
