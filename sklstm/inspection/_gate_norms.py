"""Gate norms of a network, and the region that the penalty keeps them in."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from sklstm.estimators._tikhonov import chain_of
from sklstm.networks._networks import GatedNetwork
from sklstm.tikhonov import gains_from_norms, gate_norms
from sklstm.tikhonov._cells import ALPHA, get_variant
from sklstm.tikhonov._gains import layer_kappa

from ._display import PALETTE, STYLES, Display, draw_line
from ._unwrapping import network_estimator

_LABELS = {
    "lstm": (
        r"output gate, $\beta\,\Vert W_{oh}\Vert$ (no unit)",
        r"the other gates together, $\gamma_h$ (no unit)",
    ),
    "gru": (
        r"update gate's part of $\gamma_h$ (no unit)",
        r"the other gates' part of $\gamma_h$ (no unit)",
    ),
}


@dataclass(kw_only=True, eq=False, repr=False)
class GateNormsDisplay(Display):
    r"""Recurrent gate norms of each layer, and the region in which Turkin's chain has a finite gain.

    For an LSTM, the x axis is :math:`\beta\|W_{oh}\|`, which must be at most 1. The y axis is
    :math:`\gamma_h = \alpha\|W_{fh}\| + \beta(\|W_{ih}\| + \|W_{gh}\|)`. Both determine :math:`\rho_h`, which must be
    below 1. A GRU has no output gate, and its :math:`\gamma_h` is a sum of two parts. The x axis is the part of the
    update gate. The y axis is the part of the candidate and the reset gate,
    :math:`\beta(\|W_{nh}\| + \alpha\kappa\|W_{rh}\|)`. Norms are spectral norms and have no unit.

    Parameters
    ----------
    x : array-like of shape (n_layers,)
        Coordinate of each layer on the x axis.
    y : array-like of shape (n_layers,)
        Coordinate of each layer on the y axis.
    rho_h : array-like of shape (n_layers,)
        The gain :math:`\rho_h` of each layer.
    cell : {"lstm", "gru"}, default="lstm"
        Type of the network, which decides what the axes show.
    variant : {"turkin", "tight"}, default="turkin"
        Variant of the chain, as in the estimator.
    estimator_name : str, optional
        Name of the estimator, for the legend.

    Attributes
    ----------
    points_ : list of matplotlib Line2D
        One point for each layer.
    region_ : matplotlib PolyCollection
        The feasible region.
    boundary_ : matplotlib Line2D
        Where :math:`\rho_h = 1`.
    ax_ : matplotlib Axes
        Axes with the region.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    sklstm.tikhonov.tikhonov_gains : The gains and their derivation.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import TikhonovLSTMRegressor
    >>> from sklstm.inspection import GateNormsDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 12, 2))
    >>> y = X[:, -3:, 0].mean(axis=1)
    >>> model = TikhonovLSTMRegressor(8, max_epochs=20, random_state=0).fit(X, y)
    >>> display = GateNormsDisplay.from_estimator(model)
    >>> bool(display.x[0] <= 1 and display.rho_h[0] < 1)
    True

    You can draw the data again, on other axes or with other options:

    >>> display.plot(markersize=12).ax_ is display.ax_
    True
    """

    x: ArrayLike
    y: ArrayLike
    rho_h: ArrayLike
    cell: Literal["lstm", "gru"] = "lstm"
    variant: Literal["turkin", "tight"] = "turkin"
    estimator_name: str | None = None

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, name: str | None = None) -> Self:
        """Draw the gate norms of a fitted LSTM or GRU.

        Parameters
        ----------
        estimator : estimator
            A fitted regressor or classifier with an LSTM or GRU, such as TikhonovLSTMRegressor, alone or in a Pipeline,
            a TransformedTargetRegressor or a search.
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.
        name : str, optional
            Name of the estimator, for the legend.

        Returns
        -------
        GateNormsDisplay
            A display with one point for each layer.

        Raises
        ------
        TypeError
            For any other estimator.
        NotFittedError
            Before `fit`.
        """
        cls._check_matplotlib("from_estimator")
        final = network_estimator(estimator, cls.__name__)
        if not issubclass(final._network, GatedNetwork):
            raise TypeError(
                f"{cls.__name__} needs an LSTM or GRU, such as TikhonovLSTMRegressor or TikhonovGRUClassifier, alone "
                f"or in a Pipeline, a TransformedTargetRegressor or a search; got {type(final).__name__}."
            )
        module = final.net_.module_
        if module.cell not in _LABELS:
            raise TypeError(f"{cls.__name__} has no axes for the gates of a {module.cell!r} network.")
        variant = chain_of(final.variant)
        beta, update = get_variant(variant).beta, get_variant(variant).update
        points = []
        for _, weight_hh, _, bias_hh in module.layers:
            weight, bias = (part.detach().cpu().double() for part in (weight_hh, bias_hh))
            norms = gate_norms(weight, cell=module.cell).tolist()
            if module.cell == "lstm":
                i, f, g, o = norms
                points.append((beta * o, ALPHA * f + beta * (i + g)))
            else:
                r, z, n = norms
                kappa = torch.as_tensor(layer_kappa(weight, bias, module.cell)).item()
                points.append((update * z, beta * (n + ALPHA * kappa * r)))
        x, y = np.array(points).T
        display = cls(
            x=x,
            y=y,
            rho_h=np.atleast_1d(final.rho_h_),
            cell=module.cell,
            variant=variant,
            estimator_name=name,
        )
        return display.plot(ax)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the region and the layers.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.
        name : str, optional
            Name of the estimator, for the legend. By default ``estimator_name``.
        **kwargs : dict
            Passed to matplotlib's ``plot`` for every point.

        Returns
        -------
        GateNormsDisplay
            The display itself.

        Raises
        ------
        ValueError
            If x, y and rho_h differ in length, or for an unknown cell or variant.
        """
        if self.cell not in _LABELS:
            raise ValueError(f"cell must be one of {', '.join(map(repr, _LABELS))}; got {self.cell!r}.")
        n_layers = np.size(self.x)
        x, y, rho_h = (self._values(field, n_layers) for field in ("x", "y", "rho_h"))
        edge_x, edge_y = self._boundary()
        ax, name = self._open(ax, name)
        self._draw_region(ax, edge_x, edge_y)
        self.points_ = []
        first = sum(line.get_linestyle() == "None" for line in ax.get_lines())
        for layer in range(n_layers):
            style = STYLES[(first + layer) % len(STYLES)]
            which = [part for part in (name, f"layer {layer + 1}" if n_layers > 1 else None) if part]
            label = f"{', '.join(which) or 'fitted network'}: " + rf"$\rho_h = {rho_h[layer]:.3g}$"
            options = {
                "color": style.color,
                "marker": style.marker,
                "linestyle": "none",
                "markersize": 9,
                "markeredgecolor": "white",
                "label": label,
            }
            self.points_.append(draw_line(ax, x[layer], y[layer], options, kwargs))
        points = [line for line in ax.get_lines() if line.get_linestyle() == "None"]
        right = max(edge_x.max(), *(np.max(line.get_xdata()) for line in points))
        top = max(edge_y.max(), *(np.max(line.get_ydata()) for line in points))
        ax.set_xlim(-0.03 * right, 1.15 * right)
        ax.set_ylim(-0.03 * top, 1.4 * top)  # space for the legend
        return self._finish(ax, *_LABELS[self.cell])

    def _draw_region(self, ax: Any, edge_x: NDArray[np.float64], edge_y: NDArray[np.float64]) -> None:
        """Draw the feasible region, unless an earlier display has drawn it on these axes."""
        limits = r"$\rho_h < 1$, $\beta\,\Vert W_{oh}\Vert \leq 1$" if self.cell == "lstm" else r"$\rho_h < 1$"
        label = f"feasible ({self.variant}): {limits}"
        drawn = {artist.get_label(): artist for artist in (*ax.collections, *ax.get_lines())}
        edge_label = f"_edge of {label}"
        if label in drawn and edge_label in drawn:
            self.region_, self.boundary_ = drawn[label], drawn[edge_label]
            return
        self.region_ = ax.fill_between(edge_x, edge_y, color=PALETTE["sky blue"], alpha=0.3, linewidth=0, label=label)
        (self.boundary_,) = ax.plot(edge_x, edge_y, color="0.3", linewidth=1.2, label=edge_label)
        if self.cell == "lstm":
            ax.vlines(1.0, 0.0, edge_y[-1], color="0.3", linewidth=1.2)

    def _boundary(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Points (m,), (m,) with ρ_h = 1. They come from the chain itself: ρ_h is proportional to γ_h."""
        beta = get_variant(self.variant).beta
        zeros = torch.zeros(4 if self.cell == "lstm" else 3, dtype=torch.float64)
        if self.cell == "gru":
            norms = torch.tensor([0.0, 0.0, 1 / beta], dtype=torch.float64)  # γ_h = 1
            kappa = torch.zeros((), dtype=torch.float64)
            limit = 1 / gains_from_norms(zeros, norms, variant=self.variant, cell="gru", kappa=kappa).rho_h.item()
            return np.array([0.0, limit]), np.array([limit, 0.0])
        gate = torch.linspace(0, 1, 201, dtype=torch.float64)
        norms = torch.zeros(len(gate), 4, dtype=torch.float64)
        norms[:, 0], norms[:, 3] = 1 / beta, gate / beta  # γ_h = 1
        rho_h = gains_from_norms(zeros.expand_as(norms), norms, variant=self.variant, cell="lstm").rho_h
        return gate.numpy(), (1 / rho_h).numpy()
