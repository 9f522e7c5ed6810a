"""The LSTM regressor with Turkin's analytic penalty on noise sensitivity."""

from sklstm.networks import LSTMNetwork

from ._tikhonov import TikhonovRegressor
from ._tikhonov_docs import document


class TikhonovLSTMRegressor(TikhonovRegressor):
    __doc__ = document(
        r"""
        LSTM regressor trained with an analytic penalty on how input noise moves its output.

        The objective is (57) of Turkin 2017 [1]_: mean squared error plus

        .. math::

            \lambda_S \|W_{hy}\|^2 \frac{\rho_x^2}{1 - \rho_h^2} + \lambda_1 (\rho_h^2 - 1)_+
            + \lambda_2 (\beta\|W_{oh}\| - 1)_+ ,

        where :math:`\rho_x` and :math:`\rho_h` are gains computed from the spectral norms of the gate matrices. As
        printed the objective is unbounded below; beyond :math:`\rho_h^2 = 0.95` the fraction is continued by its
        tangent line, and the recurrent matrices are scaled to be feasible before training. With all three weights zero
        neither happens, and the estimator is a plain LSTM.
        """,
        lambda_2=r"""
        lambda_2 : float, default=10.0
            Weight of the constraint :math:`\beta\|W_{oh}\| \le 1`.
        """,
        see_also="""
        See Also
        --------
        TikhonovGRURegressor : The same with gated recurrent units.
        NoisyRNNClassifier : Bias-free ReLU network for classification, trained with input noise.
        """,
        examples="""
        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import TikhonovLSTMRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.standard_normal((200, 12, 2))
        >>> y = X[:, -3:, 0].mean(axis=1)
        >>> model = TikhonovLSTMRegressor(hidden_size=8, max_epochs=60, random_state=0).fit(X, y)
        >>> model.predict(X[:5]).shape
        (5,)
        >>> bool(model.rho_h_ < 1)
        True
        """,
    )

    _module = LSTMNetwork
    _n_gates = 4
