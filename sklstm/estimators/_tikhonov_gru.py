"""The GRU regressor with the same penalty, derived for its gates."""

from sklstm.networks import GRUNetwork

from ._tikhonov import TikhonovRegressor
from ._tikhonov_docs import document


class TikhonovGRURegressor(TikhonovRegressor):
    __doc__ = document(
        r"""
        GRU regressor trained with an analytic penalty on how input noise moves its output.

        The objective is that of `TikhonovLSTMRegressor`, (57) of Turkin 2017 [1]_, with the gains of a gated recurrent
        unit, derived in the paper's steps: mean squared error plus

        .. math::

            \lambda_S \|W_{hy}\|^2 \frac{\rho_x^2}{1 - \rho_h^2} + \lambda_1 (\rho_h^2 - 1)_+ , \quad
            \rho_v = \sqrt2 \left(\alpha\|W_{zv}\|
            + \beta(\|W_{zv}\| + \|W_{nv}\| + \alpha\kappa\|W_{rv}\|)\right), \quad v \in \{x, h\},

        where :math:`\kappa = \max_j (\sum_k |W_{nh,jk}| + |b_{nh,j}|)` bounds what the reset gate multiplies. Beyond
        :math:`\rho_h^2 = 0.95` the fraction is continued by its tangent line, and the recurrent matrices are scaled to
        be feasible before training. With ``lambda_s``, ``lambda_1`` and ``lambda_2`` all zero neither happens, and the
        estimator is a plain GRU.
        """,
        lambda_2="""
        lambda_2 : float, default=10.0
            Weight of the constraint on the output gate. A GRU has none: the term is zero. The parameter is here so
            that one grid serves both regressors.
        """,
        see_also="""
        See Also
        --------
        TikhonovLSTMRegressor : The same with long short-term memory.
        NoisyRNNClassifier : Bias-free ReLU network for classification, trained with input noise.
        """,
        examples="""
        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import TikhonovGRURegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.standard_normal((200, 12, 2))
        >>> y = X[:, -3:, 0].mean(axis=1)
        >>> model = TikhonovGRURegressor(hidden_size=8, max_epochs=60, random_state=0).fit(X, y)
        >>> model.predict(X[:5]).shape
        (5,)
        >>> bool(model.rho_h_ < 1)
        True
        """,
    )

    _module = GRUNetwork
    _n_gates = 3
