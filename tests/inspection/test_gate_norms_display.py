import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from sklstm.inspection import GateNormsDisplay
from sklstm.tikhonov import gains_from_norms, tikhonov_gains

BETA = {"turkin": 17 / 16, "tight": 1.0}


def gains(x, y, variant):
    """Gains of an LSTM whose output gate has the norm x/β, and whose input gate is all the rest of γ_h."""
    norms = torch.zeros(len(x), 4, dtype=torch.float64)
    norms[:, 0], norms[:, 3] = torch.as_tensor(y) / BETA[variant], torch.as_tensor(x) / BETA[variant]
    return gains_from_norms(torch.zeros_like(norms), norms, variant=variant)


@pytest.mark.parametrize("name", ["lstm", "tight", "plain", "two_layers"])
def test_points_of_an_lstm_have_its_gains(name, made):
    model = getattr(made, name)
    display = GateNormsDisplay.from_estimator(model)
    found = gains(display.x, display.y, model.variant)
    np.testing.assert_allclose(found.rho_h, np.atleast_1d(model.rho_h_), rtol=1e-12)
    weights = [layer[1].detach().double() for layer in model.net_.module_.layers]
    norms = [np.linalg.norm(weight.numpy().reshape(4, -1, weight.shape[1])[3], 2) for weight in weights]
    np.testing.assert_allclose(display.x, BETA[model.variant] * np.array(norms), rtol=1e-9)
    assert [line.get_xdata()[0] for line in display.points_] == list(display.x)
    assert [line.get_ydata()[0] for line in display.points_] == list(display.y)


@pytest.mark.parametrize("name", ["gru", "gru_tight"])
def test_points_of_a_gru_have_its_gains(name, made):
    model = getattr(made, name)
    display = GateNormsDisplay.from_estimator(model)
    factor = np.sqrt(2) if model.variant == "turkin" else 1
    np.testing.assert_allclose(factor * (display.x + display.y), np.atleast_1d(model.rho_h_), rtol=1e-12)
    # Without its update gate a GRU has the part on the y axis, and nothing else.
    for layer, (weight_ih, weight_hh, _, bias_hh) in enumerate(model.net_.module_.layers):
        weights = [part.detach().double().clone() for part in (weight_ih, weight_hh, bias_hh)]
        weights[1][4:8] = 0
        without = tikhonov_gains(*weights, variant=model.variant, cell="gru")
        np.testing.assert_allclose(factor * display.y[layer], without.rho_h, rtol=1e-12)


@pytest.mark.parametrize("variant", ["turkin", "tight"])
def test_the_boundary_is_where_the_gain_is_one(variant):
    display = GateNormsDisplay(x=[0.1], y=[0.2], rho_h=[0.3], variant=variant).plot()
    x, y = display.boundary_.get_data()
    np.testing.assert_allclose(gains(x, y, variant).rho_h, 1, rtol=1e-12)
    assert x[0] == 0
    assert x[-1] == 1
    inside, outside = gains(x, 0.99 * y, variant), gains(x, 1.01 * y, variant)
    assert inside.feasible.all()
    assert not outside.feasible.any()
    corners = display.region_.get_paths()[0].vertices
    assert corners[:, 0].max() == 1
    np.testing.assert_allclose(corners[:, 1].max(), y.max())


@pytest.mark.parametrize(("variant", "factor"), [("turkin", np.sqrt(2)), ("tight", 1)])
def test_the_boundary_of_a_gru(variant, factor):
    display = GateNormsDisplay(x=[0.1], y=[0.2], rho_h=[0.3], cell="gru", variant=variant).plot()
    np.testing.assert_allclose(factor * np.add(*display.boundary_.get_data()), 1, rtol=1e-12)


def test_infeasible_points_are_in_the_picture_too(made):
    display = GateNormsDisplay.from_estimator(made.plain)
    assert display.rho_h[0] > 1
    assert display.y[0] < display.ax_.get_ylim()[1]
    assert display.x[0] < display.ax_.get_xlim()[1]
    x, y = display.x[0], display.y[0]
    assert x > 1 or y > np.interp(x, *display.boundary_.get_data())


def test_networks_share_one_region(made):
    _, ax = plt.subplots()
    first = GateNormsDisplay.from_estimator(made.plain, ax=ax, name="no penalty")
    second = GateNormsDisplay.from_estimator(made.lstm, ax=ax, name="penalty")
    assert second.region_ is first.region_
    assert second.boundary_ is first.boundary_
    looks = [(line.get_color(), line.get_marker()) for line in (*first.points_, *second.points_)]
    assert len(set(looks)) == 2
    assert first.y[0] < ax.get_ylim()[1]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert [label.split(":")[0] for label in labels] == ["feasible (turkin)", "no penalty", "penalty"]
    tight = GateNormsDisplay.from_estimator(made.tight, ax=ax)
    assert tight.region_ is not first.region_


def test_a_relu_network_has_no_gates(made):
    with pytest.raises(TypeError, match="needs an LSTM or GRU, such as TikhonovLSTMRegressor"):
        GateNormsDisplay.from_estimator(made.classifier)


def test_a_search_shows_its_best_model(made):
    display = GateNormsDisplay.from_estimator(made.search)
    np.testing.assert_array_equal(display.rho_h, [made.search.best_estimator_.rho_h_])


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"rho_h must have shape \(2,\)"):
        GateNormsDisplay(x=[0.1, 0.2], y=[0.1, 0.2], rho_h=[0.3]).plot()
    with pytest.raises(ValueError, match="cell must be one of 'lstm', 'gru'; got 'rnn'"):
        GateNormsDisplay(x=[0.1], y=[0.1], rho_h=[0.3], cell="rnn").plot()
    with pytest.raises(ValueError, match="variant must be one of"):
        GateNormsDisplay(x=[0.1], y=[0.1], rho_h=[0.3], variant="loose").plot()
    assert plt.get_fignums() == []
