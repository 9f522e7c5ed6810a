import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, mean_squared_error

from sklstm.inspection import NoiseRobustnessDisplay
from sklstm.inspection._model_errors import perturbed


def test_no_noise_is_the_clean_error(made):
    for model, y in ((made.lstm, made.y), (made.classifier, made.labels)):
        display = NoiseRobustnessDisplay.from_estimator(model, made.X, y, sigmas=[0.0, 1.0], n_draws=3, random_state=0)
        clean = 1 - model.score(made.X, y) if y is made.labels else mean_squared_error(y, model.predict(made.X))
        np.testing.assert_allclose(display.errors[0], clean)
        assert display.errors.shape == (2, 3)
        np.testing.assert_allclose(display.line_.get_ydata(), display.errors.mean(axis=1))
        assert display.line_.get_label() == type(model).__name__


def test_a_linear_model_loses_what_the_noise_says(made):
    """Its squared error grows by σ² Σ (w s)² in the mean: another estimator, and a number known beforehand."""
    rows = made.X.reshape(60, -1)
    ridge = Ridge().fit(rows, made.y)
    scale = np.linspace(1, 2, rows.shape[1])
    display = NoiseRobustnessDisplay.from_estimator(
        ridge, rows, made.y, sigmas=[0.0, 3.0], scale=scale, n_draws=400, random_state=0
    )
    expected = display.errors[0, 0] + 9 * np.sum((ridge.coef_ * scale) ** 2)
    error = display.errors[1].std() / 20
    assert abs(display.errors[1].mean() - expected) < 4 * error
    assert error < 0.05 * expected
    assert "multiples of scale" in display.ax_.get_xlabel()


def test_one_draw_serves_all_sizes_and_models(made):
    rows = made.X.reshape(60, -1)
    ridge = Ridge(alpha=1e-9).fit(rows, rows[:, 0])  # predicts its first input: the noise can be read off
    seen = []
    NoiseRobustnessDisplay.from_estimator(
        ridge,
        rows,
        rows[:, 0],
        sigmas=[1.0, 2.0],
        n_draws=2,
        metric=lambda y, predicted: float(seen.append(predicted - y) or 0),
        random_state=0,
    )
    np.testing.assert_allclose(seen[2], 2 * seen[0], atol=1e-6)
    np.testing.assert_allclose(seen[3], 2 * seen[1], atol=1e-6)
    assert np.abs(seen[0] - seen[1]).max() > 0.1
    errors = [
        NoiseRobustnessDisplay.from_estimator(
            made.lstm, made.X, made.y, sigmas=[0.5], n_draws=2, random_state=np.random.RandomState(seed)
        ).errors
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(errors[0], errors[1])
    assert (errors[0] != errors[2]).all()


def test_a_metric_of_ones_own(made):
    display = NoiseRobustnessDisplay.from_estimator(
        made.lstm, made.X, made.y, sigmas=[0.0], metric=mean_absolute_error, random_state=0
    )
    assert display.errors[0, 0] == mean_absolute_error(made.y, made.lstm.predict(made.X))
    assert display.ax_.get_ylabel() == "mean absolute error (mean ± s.e.)"


def test_noise_falls_on_every_form_of_input():
    """One generator, so one draw: the forms agree."""
    X = np.arange(12.0).reshape(2, 3, 2)
    scale = np.array([0.0, 1.0])

    def noise(form, factor=scale):
        return perturbed(form, 0.5, factor, np.random.default_rng(0))

    plain = noise(X)
    assert (plain[..., 0] == X[..., 0]).all()
    assert (plain[..., 1] != X[..., 1]).all()
    np.testing.assert_array_equal(np.stack(noise(list(X))), plain)
    np.testing.assert_array_equal(noise(torch.from_numpy(X)), plain)
    np.testing.assert_array_equal(noise(X.tolist()), plain)
    np.testing.assert_array_equal(noise(X.astype(int)), plain)
    ragged = np.empty(2, dtype=object)
    ragged[:] = [X[0], X[1, :2]]
    assert [part.shape for part in noise(ragged)] == [(3, 2), (2, 2)]
    table = pd.DataFrame(X.reshape(2, 6), columns=list("abcdef"), index=[7, 8])
    noisy = noise(table, np.tile(scale, 3))
    assert isinstance(noisy, pd.DataFrame)
    pd.testing.assert_index_equal(noisy.columns, table.columns)
    pd.testing.assert_index_equal(noisy.index, table.index)
    np.testing.assert_array_equal(noisy.to_numpy(), plain.reshape(2, 6))
    np.testing.assert_array_equal(noise(table.convert_dtypes(), np.tile(scale, 3)).to_numpy(), plain.reshape(2, 6))
    assert perturbed(X, 0.0, scale, np.random.default_rng(0)) is X
    np.testing.assert_array_equal(X, np.arange(12.0).reshape(2, 3, 2))


def test_several_estimators_in_one_call(made):
    how = {"sigmas": [0.0, 0.5, 1.0], "n_draws": 3, "random_state": 0}
    models = {"with the penalty": made.lstm, "gru": made.gru, "plain": made.plain}
    display = NoiseRobustnessDisplay.from_estimator(models, made.X, made.y, **how)
    assert list(display.errors) == list(display.line_) == list(display.band_) == list(models)
    for name, model in models.items():
        alone = NoiseRobustnessDisplay.from_estimator(model, made.X, made.y, **how)
        np.testing.assert_array_equal(display.errors[name], alone.errors)
        np.testing.assert_array_equal(display.line_[name].get_ydata(), alone.line_.get_ydata())
        assert display.line_[name].get_label() == name
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == list(models)
    assert len({line.get_linestyle() for line in display.line_.values()}) == 3
    assert display.ax_.get_ylabel() == "mean squared error (mean ± s.e.)"
    # The same data again, with a name in front.
    again = NoiseRobustnessDisplay(sigmas=how["sigmas"], errors=display.errors).plot(name="Beijing")
    assert again.line_["gru"].get_label() == "Beijing, gru"


def test_several_estimators_on_one_axes(made):
    _, ax = plt.subplots()
    for name in ("lstm", "gru"):
        NoiseRobustnessDisplay.from_estimator(
            getattr(made, name), made.X, made.y, sigmas=[0.0, 1.0], random_state=0, ax=ax, name=name
        )
    first, second = ax.get_lines()
    assert (first.get_label(), second.get_label()) == ("lstm", "gru")
    for look in ("get_color", "get_linestyle", "get_marker"):
        assert getattr(first, look)() != getattr(second, look)()


def test_options_go_to_the_line():
    display = NoiseRobustnessDisplay(sigmas=[1.0, 0.1, 10.0], errors=[3.0, 2.0, 1.0])
    line = display.plot(c="red", ls=":", name="mine").line_
    assert (line.get_color(), line.get_linestyle(), line.get_label()) == ("red", ":", "mine")
    np.testing.assert_array_equal(line.get_xydata(), [[0.1, 2], [1, 3], [10, 1]])
    assert display.ax_.get_xscale() == "log"
    assert display.band_ is None


def test_wrong_arguments(made):
    draw = NoiseRobustnessDisplay.from_estimator
    with pytest.raises(ValueError, match="requires y"):
        draw(made.lstm, made.X, None, sigmas=[0.1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        draw(made.lstm, made.X, made.y[1:], sigmas=[0.1])
    with pytest.raises(ValueError, match=r"scale has shape \(3,\), which does not broadcast to \(60, 5, 2\)"):
        draw(made.lstm, made.X, made.y, sigmas=[0.1], scale=np.ones(3))
    with pytest.raises(ValueError, match="every entry of sigmas must be a finite number"):
        draw(made.lstm, made.X, made.y, sigmas=[np.nan])
    with pytest.raises(ValueError, match="n_draws"):
        draw(made.lstm, made.X, made.y, sigmas=[0.1], n_draws=0)
    with pytest.raises(ValueError, match="random_state must be None"):
        draw(made.lstm, made.X, made.y, sigmas=[0.1], random_state="seed")
    with pytest.raises(TypeError, match="metric must be a function"):
        draw(made.lstm, made.X, made.y, sigmas=[0.1], metric="r2")
    with pytest.raises(TypeError, match="noise can be added to numbers only"):
        perturbed(pd.DataFrame({"a": ["x"]}), 0.1, 1.0, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"errors must have shape \(2,\) or \(2, n_repeats\)"):
        NoiseRobustnessDisplay(sigmas=[0.0, 1.0], errors=np.ones((3, 2))).plot()
    with pytest.raises(ValueError, match=r"errors must have shape \(2,\) or \(2, n_repeats\)"):
        NoiseRobustnessDisplay(sigmas=[0.0, 1.0], errors={"a": np.ones(2), "b": np.ones(3)}).plot()
    with pytest.raises(ValueError, match="at least one estimator"):
        NoiseRobustnessDisplay(sigmas=[0.0, 1.0], errors={}).plot()
    with pytest.raises(ValueError, match="estimator is an empty dict"):
        draw({}, made.X, made.y, sigmas=[0.1])
    with pytest.raises(TypeError, match="all classifiers or all regressors"):
        draw({"a": made.lstm, "b": made.classifier}, made.X, made.y, sigmas=[0.1])
    with pytest.raises(TypeError, match="expected a fitted estimator, got 'lstm'"):
        draw({"a": made.lstm, "b": "lstm"}, made.X, made.y, sigmas=[0.1])
    assert plt.get_fignums() == []
