"""Losses by epoch of training."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier

from ._display import PALETTE, Display, draw_line, labelled, make_headroom, scale_y
from ._unwrapping import network_estimator

_LOOKS = {
    "data loss": {"color": PALETTE["blue"], "linestyle": "-"},
    "penalty": {"color": PALETTE["vermilion"], "linestyle": "--"},
    "validation loss": {"color": PALETTE["green"], "linestyle": "-."},
}


@dataclass(kw_only=True, eq=False, repr=False)
class LossCurveDisplay(Display):
    """Data loss, penalty and validation loss by epoch of training.

    Use `from_estimator` to create one. The parameters are stored as attributes.

    Parameters
    ----------
    epochs : array-like of shape (m,)
        Numbers of the epochs, from 1.
    data_loss : array-like of shape (m,)
        Mean loss of the training sequences, without the penalty.
    penalty : array-like of shape (m,), optional
        Mean penalty of each epoch. None if the network was trained without a penalty.
    valid_loss : array-like of shape (m,), optional
        Loss of the validation sequences. None without early stopping.
    best_epoch : int, optional
        The epoch whose weights were kept. None if these are the weights of the last epoch.
    loss_name : str, default="loss"
        Name and unit of the loss, for the y axis.
    estimator_name : str, optional
        Name of the estimator, for the legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The data loss.
    penalty_line_ : matplotlib Line2D or None
        The penalty.
    valid_line_ : matplotlib Line2D or None
        The validation loss.
    best_point_ : matplotlib Line2D or None
        Ring around the validation loss of the epoch whose weights were kept.
    ax_ : matplotlib Axes
        Axes with the lines.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    GateNormsDisplay : Gate norms, which the penalty limits.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import TikhonovLSTMRegressor
    >>> from sklstm.inspection import LossCurveDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 12, 2))
    >>> y = X[:, -3:, 0].mean(axis=1)
    >>> model = TikhonovLSTMRegressor(8, max_epochs=20, random_state=0).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(model)
    >>> len(display.data_loss), display.ax_.get_xlabel()
    (20, 'epoch')

    You can draw the data again, on other axes or with other options:

    >>> display.plot(linewidth=3).ax_ is display.ax_
    True
    """

    epochs: ArrayLike
    data_loss: ArrayLike
    penalty: ArrayLike | None = None
    valid_loss: ArrayLike | None = None
    best_epoch: int | None = None
    loss_name: str = "loss"
    estimator_name: str | None = None

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, name: str | None = None) -> Self:
        """Draw the losses of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator of this package, alone or inside a pipeline, a TransformedTargetRegressor or a search.
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.
        name : str, optional
            Name of the estimator, for the legend.

        Returns
        -------
        LossCurveDisplay
            A display; without a penalty line if the penalty was zero in every epoch.

        Raises
        ------
        TypeError
            For any other estimator.
        NotFittedError
            Before `fit`.
        """
        cls._check_matplotlib("from_estimator")
        final = network_estimator(estimator, cls.__name__)
        history = [epoch for epoch in final.net_.history if "data_loss" in epoch]
        penalty = np.array([epoch["penalty"] for epoch in history])
        stopped = bool(history) and all("valid_loss" in epoch for epoch in history)
        valid_loss = np.array([epoch["valid_loss"] for epoch in history]) if stopped else None
        # A TransformedTargetRegressor may change the unit of y.
        target = "y" if final is estimator else "the network's y"
        kept = [epoch["epoch"] for epoch in history if epoch.get("valid_loss_best")]
        display = cls(
            epochs=np.array([epoch["epoch"] for epoch in history]),
            data_loss=np.array([epoch["data_loss"] for epoch in history]),
            penalty=penalty if penalty.any() else None,
            valid_loss=valid_loss,
            best_epoch=kept[-1] if stopped else None,
            loss_name="cross-entropy (nats)" if is_classifier(final) else final._loss.label(target),
            estimator_name=name,
        )
        return display.plot(ax)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the losses.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.
        name : str, optional
            Name of the estimator, for the legend. By default ``estimator_name``.
        **kwargs : dict
            Passed to matplotlib's ``plot`` for every line.

        Returns
        -------
        LossCurveDisplay
            The display itself.

        Raises
        ------
        ValueError
            If there is not one loss for each epoch.
        """
        epochs = np.asarray(self.epochs)
        fields = {"data loss": "data_loss", "penalty": "penalty", "validation loss": "valid_loss"}
        curves = {
            what: self._values(field, len(epochs)) for what, field in fields.items() if getattr(self, field) is not None
        }
        ax, name = self._open(ax, name)
        lines = {
            what: draw_line(ax, epochs, values, _LOOKS[what] | {"label": labelled(name, what)}, kwargs)
            for what, values in curves.items()
        }
        self.line_ = lines["data loss"]
        self.penalty_line_, self.valid_line_ = lines.get("penalty"), lines.get("validation loss")
        self.best_point_ = None
        if self.best_epoch is not None and self.valid_line_ is not None:
            at = epochs == self.best_epoch
            ring = {"color": "black", "marker": "o", "markersize": 10, "fillstyle": "none", "linestyle": "none"}
            label = labelled(name, f"weights kept: epoch {self.best_epoch}")
            (self.best_point_,) = ax.plot(epochs[at], curves["validation loss"][at], label=label, **ring)
        if all((values > 0).all() for values in curves.values()):
            scale_y(ax)
        make_headroom(ax)
        return self._finish(ax, "epoch", self.loss_name)
