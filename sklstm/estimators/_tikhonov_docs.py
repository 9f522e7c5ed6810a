"""What the docstrings of the Tikhonov regressors share: the class bodies put them together."""

from inspect import cleandoc

_FIRST_PARAMETERS = r"""
Parameters
----------
hidden_size : int, default=32
    Units H of every layer.
lambda_s : float, default=0.01
    Weight :math:`\lambda_S` of the perturbation term: the strength of the regularisation.
lambda_1 : float, default=10.0
    Weight of the constraint :math:`\rho_h^2 < 1`.
"""

_OTHER_PARAMETERS = r"""
variant : {"turkin", "tight"}, default="turkin"
    The paper's chain of inequalities, or the same without its slack; see `sklstm.tikhonov.tikhonov_gains`.
readout : {"linear", "logistic"}, default="linear"
    Linear readout of the last state, or (1) of the paper for targets in [0, 1].
num_layers : int, default=1
    Recurrent layers; each reads the states of the one before. The gains of the layers multiply: before training, every
    layer beyond the first makes the perturbation term 10 to 60 times as large. Divide ``lambda_s`` by about 30 for
    each of them. At the default, two layers may score far below one, and after few steps have learnt little but the
    mean.
sigma : float, default=0.0
    Standard deviation of Gaussian noise added to the inputs of every training batch.
n_channels : int, default=1
    Channels per time step of 2-D input, whose columns are time-major: all channels of the first step first.
    With 3-D input and a value other than 1, the number of channels that X must have.
max_epochs : int, default=100
    Passes over the training data.
lr : float, default=0.003
    Learning rate.
lr_schedule : {"constant", "step", "exponential", "cosine", "warmup-cosine", "plateau"}, default="constant"
    Learning rate in epoch e = 0, 1, … of E = ``max_epochs``: ``"step"`` divides it by 10 at E/2 and again at 3E/4,
    ``"exponential"`` is lr · 0.01^(e/E), ``"cosine"`` falls along half a cosine to a hundredth,
    ``"warmup-cosine"`` first rises linearly over a tenth of the epochs, ``"plateau"`` halves it when the loss (the
    validation loss, if there is one) has not fallen for five epochs. ``net_.history[:, "lr"]`` has the rates.
batch_size : int, default=64
    Sequences per optimiser step.
optimizer : {"adam", "adamw", "sgd"}, default="adam"
    ``"sgd"`` has Nesterov momentum 0.9.
weight_decay : float, default=0.0
    The optimiser's weight decay.
clip_norm : float or None, default=None
    Largest Euclidean norm of the gradient; larger gradients are scaled down to it.
early_stopping : bool, default=False
    Hold out ``validation_fraction`` of the training data, stop when its loss has not improved for
    ``n_iter_no_change`` epochs, and restore the best weights. The validation loss does not contain the penalty.
validation_fraction : float, default=0.1
    Used with ``early_stopping`` only.
n_iter_no_change : int, default=10
    Used with ``early_stopping`` only.
warm_start : bool, default=False
    Go on in `fit` from the weights of the last one, with a fresh optimiser.
callbacks : list of skorch callbacks or (name, callback) pairs, or None, default=None
    Given to the net besides the package's own, and used as they are: their state can be read after `fit`. Searches
    clone them with the estimator. To end training, raise `sklstm.training.StopTraining`. For the callbacks of
    scikit-learn see ``set_callbacks``.
compute_bound : bool, default=True
    Compute ``generalization_bound_`` after training; costs about a dozen passes over the training data.
compression : Compression or None, default=None
    How to make the predictor of the bound, ``quantized_``: None rounds the trained weights to one codebook; a
    `Compression` trains and rounds a network for the purpose. Fixed before seeing the data.
delta : float, default=0.05
    The generalisation bound holds with probability at least ``1 - delta``.
loss_cap : float or None, default=None
    Cap M of the squared loss in the generalisation bound, in squared units of y. None chooses a power of two
    after seeing y and pays for the choice.
device : str, default="cpu"
    A torch device, such as ``"cuda"`` or ``"cuda:1"``; or ``"auto"`` for CUDA if it can be used, else MPS, else the
    CPU, decided in `fit`: ``net_.device`` says which. See ``docs/guide/devices.md``.
precision : {"float32", "tf32", "bfloat16"}, default="float32"
    Of matrix products in training. ``"tf32"`` allows an NVIDIA GPU its faster ones, with 11 binary digits, and
    changes nothing elsewhere; ``"bfloat16"`` takes batches forward and back in that type, on any device. Weights,
    optimiser, penalty and losses are float32 in any case, and so are predictions, certificates and bounds.
random_state : int, RandomState instance or None, default=None
    Fixes initial weights, batch order, noise and the validation split. The global random states of numpy and torch
    are neither used nor changed.
verbose : int, default=0
    1 shows a progress bar with data loss and penalty, validation loss and learning rate, as far as there are any,
    except in worker processes; 2 shows a line per epoch, anywhere. On the standard error stream.
"""

_ATTRIBUTES = r"""
Attributes
----------
net_ : SequenceNet
    The trained skorch net; ``net_.module_`` is the torch module.
n_iter_ : int
    Epochs run.
loss_curve_ : list of float
    Training objective, penalty included, per epoch; ``net_.history`` has ``data_loss`` and ``penalty`` apart, and
    the relative error of the norms that training used as ``norm_error`` (a bound for up to 64 units, else measured).
rho_x_, rho_h_ : float, or ndarray of shape (num_layers,) for more than one layer
    Gains of the fitted weights, exact, in float64; see `sklstm.tikhonov.tikhonov_gains`.
perturbation_gain_ : float
    :math:`\|W_{hy}\|^2 \prod_l \rho_{x,l}^2 / (1 - \rho_{h,l}^2)`, (55) for every layer; ``inf`` if a constraint is
    violated. A surrogate of the squared sensitivity, not a certificate.
generalization_bound_ : float
    Occam bound on the expected capped squared loss of the quantised network, in squared units of y. Only with
    ``compute_bound``.
generalization_report_ : GeneralizationReport
    How that number comes about. Only with ``compute_bound``.
quantized_ : estimator
    The fitted predictor that the bound is about. Only with ``compute_bound``.
n_features_in_ : int
    Columns of 2-D input, or channels of 3-D input, seen in fit.
feature_names_in_ : ndarray of str
    Only if X was a DataFrame with string column names.
"""

_REFERENCE = """
References
----------
.. [1] Turkin, A. (2017). Tikhonov Regularization for Long Short-Term Memory Networks. arXiv:1708.02979.
"""


def document(introduction: str, lambda_2: str, see_also: str, examples: str) -> str:
    """A whole numpydoc page from the parts that differ between cells."""
    sections = (
        introduction,
        _FIRST_PARAMETERS.rstrip() + "\n" + cleandoc(lambda_2) + "\n" + _OTHER_PARAMETERS.lstrip(),
        _ATTRIBUTES,
        see_also,
        _REFERENCE,
        examples,
    )
    return "\n\n".join(cleandoc(section) for section in sections) + "\n"
