"""How the parts of the loss went down in training."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier

from ._figures import (
    PALETTE,
    axes_for,
    curve_values,
    labelled,
    line_options,
    make_headroom,
    require_matplotlib,
    scale_y,
)
from ._fitted import network_estimator

__all__ = ["LossCurveDisplay"]


class LossCurveDisplay:
    """Losses by epoch of training: on the data, of the penalty, and on what was held out.

    It is best made with `from_estimator`; what the constructor is given is stored as attributes.

    Parameters
    ----------
    epochs : array-like of shape (m,)
        Epochs, from 1.
    data_loss : array-like of shape (m,)
        Mean loss of the training sequences, without the penalty.
    penalty : array-like of shape (m,), optional
        Mean penalty of the epoch; None if the network was trained without.
    valid_loss : array-like of shape (m,), optional
        Loss of the held-out sequences; None without early stopping.
    best_epoch : int, optional
        The epoch whose weights were kept; None if they are those of the last.
    loss_name : str, default="loss"
        What the loss is and its units, for the y axis.
    estimator_name : str, optional
        Whose losses they are, for the legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The data loss.
    penalty_line_ : matplotlib Line2D or None
        The penalty.
    valid_line_ : matplotlib Line2D or None
        The validation loss.
    best_point_ : matplotlib Line2D or None
        Ring around the validation loss of the epoch that was kept.
    ax_ : matplotlib Axes
        Axes with the lines.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    GateNormsDisplay : What the penalty has made of the weights.

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

    What was computed can be drawn again, on other axes or with other options:

    >>> display.plot(linewidth=3).ax_ is display.ax_
    True
    """

    def __init__(
        self,
        *,
        epochs: ArrayLike,
        data_loss: ArrayLike,
        penalty: ArrayLike | None = None,
        valid_loss: ArrayLike | None = None,
        best_epoch: int | None = None,
        loss_name: str = "loss",
        estimator_name: str | None = None,
    ) -> None:
        self.epochs = epochs
        self.data_loss = data_loss
        self.penalty = penalty
        self.valid_loss = valid_loss
        self.best_epoch = best_epoch
        self.loss_name = loss_name
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, name: str | None = None) -> Self:
        """Draw the losses of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator of this package, alone or inside a pipeline, a TransformedTargetRegressor or a search.
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.
        name : str, optional
            Whose losses they are, for the legend.

        Returns
        -------
        LossCurveDisplay
            The penalty is left out where it was zero throughout.

        Raises
        ------
        TypeError
            For another kind of estimator.
        NotFittedError
            Before `fit`.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        final = network_estimator(estimator, cls.__name__)
        history = [epoch for epoch in final.net_.history if "data_loss" in epoch]
        penalty = np.array([epoch["penalty"] for epoch in history])
        stopped = bool(history) and all("valid_loss" in epoch for epoch in history)
        valid_loss = np.array([epoch["valid_loss"] for epoch in history]) if stopped else None
        # What a TransformedTargetRegressor does to y, the network does not know.
        target = "y" if final is estimator else "the network's y"
        kept = [epoch["epoch"] for epoch in history if epoch.get("valid_loss_best")]
        display = cls(
            epochs=np.array([epoch["epoch"] for epoch in history]),
            data_loss=np.array([epoch["data_loss"] for epoch in history]),
            penalty=penalty if penalty.any() else None,
            valid_loss=valid_loss,
            best_epoch=kept[-1] if stopped else None,
            loss_name="cross-entropy (nats)" if is_classifier(final) else f"squared error (squared units of {target})",
            estimator_name=name,
        )
        return display.plot(ax)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the losses.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.
        name : str, optional
            Whose losses they are, for the legend; by default ``estimator_name``.
        **kwargs : dict
            Passed to matplotlib's ``plot`` for every line.

        Returns
        -------
        LossCurveDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the losses are not as many as the epochs.
        """
        name = self.estimator_name if name is None else name
        epochs = np.asarray(self.epochs)
        given = {"data loss": self.data_loss, "penalty": self.penalty, "validation loss": self.valid_loss}
        curves = {
            what: curve_values(what, values, len(epochs))[:, 0] for what, values in given.items() if values is not None
        }
        ax = axes_for(ax, f"{type(self).__name__}.plot")
        looks = {
            "data loss": {"color": PALETTE["blue"], "linestyle": "-"},
            "penalty": {"color": PALETTE["vermilion"], "linestyle": "--"},
            "validation loss": {"color": PALETTE["green"], "linestyle": "-."},
        }
        lines = {
            what: ax.plot(epochs, values, **line_options(looks[what] | {"label": labelled(name, what)}, kwargs))[0]
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
        ax.set(xlabel="epoch", ylabel=self.loss_name)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
