"""The networks: forward passes only, from sequences to the last step (many-to-one)."""

import copy
from collections.abc import Callable
from typing import Any, ClassVar, TypeGuard, cast

import torch
from torch import Tensor, nn

from sklstm._sequences import last_steps

from ._kernels import last_lstm_state, last_relu_state
from ._linear_part import LinearPart

READOUTS = {"linear": nn.Identity, "logistic": nn.Sigmoid}
#: Activations of the network without gates. Both are 0 at 0 and move no farther than their argument.
ACTIVATIONS = ("relu", "tanh")


def _last_state(recurrent: nn.RNNBase, X: Tensor, lengths: Tensor | None) -> Tensor:
    """State (n, H) of the last layer after the last step of every sequence of X (n, L, d)."""
    outputs, state = recurrent(X)
    if lengths is not None:
        # Steps after the end of a sequence come after the state that is read, and cannot change it.
        return outputs[torch.arange(len(X), device=X.device), lengths - 1]
    h = state[0] if isinstance(state, tuple) else state  # (n_layers, n, H); an LSTM returns its cells too
    return h[-1]


class GatedNetwork(nn.Module):
    """A stack of recurrent layers, a linear readout of the last state, optionally a linear part, and a link.

    The linear part is added before the link: y = link(V h + A vec(last steps of x) + b).
    """

    # A key of `sklstm.tikhonov`'s cells; also the attribute that holds the layers, the prefix of their names in
    # ``state_dict``, and a word in messages.
    cell: ClassVar[str]
    n_gates: ClassVar[int]
    _kind: ClassVar[Callable[..., Any]]  # the recurrent layer, torch's or one with the same constructor and outputs

    def __init__(
        self,
        n_features: int,
        hidden_size: int,
        n_outputs: int,
        readout: str = "linear",
        dtype: torch.dtype = torch.float32,
        num_layers: int = 1,
        device: str | torch.device | None = None,
        skip_steps: int = 0,
        skip_channels: tuple[int, ...] = (),
    ):
        super().__init__()
        if skip_steps and skip_channels:
            raise ValueError("a network has either skip_steps or skip_channels. Leave one of them out.")
        self.link: nn.Module = READOUTS[readout]()
        recurrent = self._kind(n_features, hidden_size, num_layers, batch_first=True, device=device, dtype=dtype)
        self.add_module(self.cell, recurrent)
        self.readout = nn.Linear(hidden_size, n_outputs, device=device, dtype=dtype)
        self.linear_part: LinearPart | None = None
        if skip_steps or skip_channels:
            self.linear_part = LinearPart(n_features, n_outputs, skip_steps or 1, skip_channels, dtype, device)

    @property
    def recurrent(self) -> nn.RNNBase:
        """The torch module of the recurrent layers."""
        return cast(nn.RNNBase, getattr(self, self.cell))

    @property
    def layers(self) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], ...]:
        """Input (G * H, d or H) and recurrent (G * H, H) matrix, input and recurrent bias (G * H,) of every layer."""
        # In torch's order: ih and hh weights, ih and hh biases.
        return cast("tuple[tuple[Tensor, Tensor, Tensor, Tensor], ...]", tuple(map(tuple, self.recurrent.all_weights)))

    @property
    def is_logistic(self) -> bool:
        """Whether the outputs go through a logistic function."""
        return isinstance(self.link, nn.Sigmoid)

    @property
    def n_layers(self) -> int:
        """Recurrent layers."""
        return self.recurrent.num_layers

    @property
    def weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """Input (G * H, d), recurrent (G * H, H) and readout (k, H) matrices of a network of one layer.

        Raises
        ------
        ValueError
            For a stack: use `layers`.
        """
        if self.n_layers > 1:
            raise ValueError(f"weights are those of a single layer, but this network has {self.n_layers}. Use layers.")
        weight_ih, weight_hh, *_ = self.layers[0]
        return weight_ih, weight_hh, self.readout.weight

    @torch.no_grad()
    def scale_recurrent_(self, *factors: float) -> None:
        """Multiply the recurrent matrices of all gates by one factor a layer, in place."""
        for (_, weight_hh, *_), factor in zip(self.layers, factors, strict=True):
            weight_hh.mul_(factor)

    def forward(self, X: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(n, L, d) → (n, k); sequence i ends after ``lengths[i]`` steps, by default after L."""
        outputs = self.readout(_last_state(self.recurrent, X, lengths))
        if self.linear_part is not None:
            outputs = outputs + self.linear_part(X, lengths)
        return self.link(outputs)


class LSTMNetwork(GatedNetwork):
    r"""LSTM (5)–(11) of Turkin 2017 with readout :math:`y = W_{hy} h(L) + b_y`, or its logistic (1).

    The readout bias is not in the paper; it shifts every output alike, so it drops out of every perturbation.

    Parameters
    ----------
    n_features : int
        Number of channels d.
    hidden_size : int
        Number of units H in every layer.
    n_outputs : int
        Number of outputs k.
    readout : {"linear", "logistic"}
    dtype : torch.dtype
    num_layers : int
        Number of layers; each reads the states of the one before.
    device : str or torch.device, optional
        Device of the weights, as in torch's own layers.
    skip_steps : int
        Number p of last input steps that a linear part reads; 0 for none. A vec(x) is added to the readout, with A (k,
        p · d) trained from zero. A shorter sequence counts as one that begins with zeros.
    skip_channels : tuple of int of length k
        For every output, the channel whose value at the last step is added to it. Empty for none; excludes
        ``skip_steps``.

    Examples
    --------
    Without weights the state stays zero, and the output is the bias of the readout:

    >>> import torch
    >>> from sklstm.networks import LSTMNetwork
    >>> module = LSTMNetwork(n_features=2, hidden_size=4, n_outputs=1)
    >>> module.scale_recurrent_(0.5)  # the recurrent matrices of the one layer
    >>> weight_ih, weight_hh, weight_out = module.weights
    >>> weight_ih.shape, weight_hh.shape, weight_out.shape
    (torch.Size([16, 2]), torch.Size([16, 4]), torch.Size([1, 4]))
    >>> with torch.no_grad():
    ...     _ = [parameter.zero_() for parameter in module.parameters()], module.readout.bias.fill_(0.25)
    >>> module.forward(torch.ones(3, 7, 2)).flatten().tolist()
    [0.25, 0.25, 0.25]

    With the first channel of the last step added:

    >>> module = LSTMNetwork(n_features=2, hidden_size=4, n_outputs=1, skip_channels=(0,))
    >>> with torch.no_grad():
    ...     _ = [parameter.zero_() for parameter in module.parameters()]
    >>> module.forward(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])).item()
    3.0
    """

    cell = "lstm"
    n_gates = 4
    _kind = nn.LSTM


class GRUNetwork(GatedNetwork):
    r"""torch's GRU (Cho et al. 2014) with a linear or logistic readout of its last state.

    .. math::

        r &= \sigma(W_{rx} x + b_{rx} + W_{rh} h + b_{rh}), \quad z = \sigma(W_{zx} x + b_{zx} + W_{zh} h + b_{zh}) \\
        n &= \tanh(W_{nx} x + b_{nx} + r \odot (W_{nh} h + b_{nh})), \quad h' = (1 - z) \odot n + z \odot h

    Parameters
    ----------
    n_features : int
        Number of channels d.
    hidden_size : int
        Number of units H in every layer.
    n_outputs : int
        Number of outputs k.
    readout : {"linear", "logistic"}
    dtype : torch.dtype
    num_layers : int
        Number of layers; each reads the states of the one before.
    device : str or torch.device, optional
        Device of the weights, as in torch's own layers.
    skip_steps : int
        Number p of last input steps that a linear part reads; 0 for none. A vec(x) is added to the readout, with A (k,
        p · d) trained from zero. A shorter sequence counts as one that begins with zeros.
    skip_channels : tuple of int of length k
        For every output, the channel whose value at the last step is added to it. Empty for none; excludes
        ``skip_steps``.

    Examples
    --------
    Values after the end of a sequence have no effect:

    >>> import torch
    >>> from sklstm.networks import GRUNetwork
    >>> module = GRUNetwork(n_features=2, hidden_size=4, n_outputs=1, num_layers=2)
    >>> module.scale_recurrent_(0.5, 0.5)  # a factor a layer
    >>> X = torch.ones(2, 7, 2)
    >>> short, long = module.forward(X, lengths=torch.tensor([3, 7]))
    >>> torch.allclose(short, module.forward(X[:1, :3])), torch.allclose(long, module.forward(X[:1]))
    (True, True)
    """

    cell = "gru"
    n_gates = 3
    _kind = nn.GRU


class RNNNetwork(nn.Module):
    r"""Bias-free network (1) of Tu et al. 2020: :math:`h_t = \rho(U x_t + W h_{t-1})`, :math:`y_L = V h_L`.

    In the paper ρ is the ReLU; it may also be tanh.

    The recurrent matrix starts at ``recurrent_scale`` times the identity (Le, Jaitly & Hinton 2015, arXiv:1504.00941).
    Gradients then neither vanish nor explode over a hundred steps, as they do from torch's uniform start. Rows of U and
    V start uniform with standard deviation :math:`1/\sqrt{d\,L_0}` and :math:`1/\sqrt{m}`, with :math:`L_0` =
    ``n_steps``. So the state, a sum over steps, starts at order one for any length.

    Parameters
    ----------
    n_features : int
        Number of channels d.
    hidden_size : int
        Number of units m.
    n_outputs : int
        Number of classes k.
    n_steps : int
        Length for which the input weights are scaled at the start; any length can be passed to forward.
    recurrent_scale : float
    dtype : torch.dtype
    device : str or torch.device, optional
        Device of the weights, as in torch's own layers.
    activation : {"relu", "tanh"}

    Raises
    ------
    ValueError
        For another activation.

    Examples
    --------
    The recurrent matrix starts as the identity, so that a state of ReLU units adds up the inputs:

    >>> import torch
    >>> from sklstm.networks import RNNNetwork
    >>> module = RNNNetwork(n_features=2, hidden_size=4, n_outputs=3)
    >>> torch.equal(module.W, torch.eye(4))
    True
    >>> X = torch.ones(1, 5, 2)
    >>> torch.allclose(module.forward(X), 5 * module.forward(X[:, :1]), atol=1e-6)
    True
    """

    n_gates: ClassVar[int] = 1
    is_logistic: ClassVar[bool] = False
    linear_part: ClassVar[None] = None
    link: ClassVar[nn.Module] = nn.Identity()

    def __init__(
        self,
        n_features: int,
        hidden_size: int,
        n_outputs: int,
        n_steps: int = 1,
        recurrent_scale: float = 1.0,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device | None = None,
        activation: str = "relu",
    ):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {ACTIVATIONS}, got {activation!r}.")
        self.rnn = nn.RNN(
            n_features, hidden_size, nonlinearity=activation, bias=False, batch_first=True, device=device, dtype=dtype
        )
        self.readout = nn.Linear(hidden_size, n_outputs, bias=False, device=device, dtype=dtype)
        with torch.no_grad():
            nn.init.eye_(self.W).mul_(recurrent_scale)
            for weight, variance in ((self.U, 1 / (n_features * n_steps)), (self.V, 1 / hidden_size)):
                limit = (3 * variance) ** 0.5
                nn.init.uniform_(weight, -limit, limit)

    @property
    def recurrent(self) -> nn.RNNBase:
        """The torch module of the recurrent layer."""
        return self.rnn

    @property
    def cell(self) -> str:
        """The activation, as a key for recurrent cells."""
        return self.rnn.nonlinearity

    @property
    def U(self) -> Tensor:
        """Input matrix (m, d)."""
        return cast(Tensor, self.rnn.weight_ih_l0)

    @property
    def W(self) -> Tensor:
        """Recurrent matrix (m, m)."""
        return cast(Tensor, self.rnn.weight_hh_l0)

    @property
    def V(self) -> Tensor:
        """Readout matrix (k, m)."""
        return self.readout.weight

    def forward(self, X: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(n, L, d) → logits (n, k); sequence i ends after ``lengths[i]`` steps, by default after L."""
        # Training on a CPU: the same function in less time (docs/benchmarks/relu_layer.md). Only torch's own layer
        # knows autocast, sequences without a batch axis, and second derivatives.
        plain = X.device.type == "cpu" and X.ndim == 3 and len(X) > 0 and not X.requires_grad
        if self.cell == "relu" and self.training and plain and not torch.is_autocast_enabled("cpu"):
            return self.readout(last_relu_state(X[None], self.U[None], self.W[None], lengths)[0])
        return self.readout(_last_state(self.rnn, X, lengths))


def is_plain(module: Any) -> TypeGuard[GatedNetwork | RNNNetwork]:
    """Whether a network is just torch's own layers, a linear readout at the last step and optionally a linear part.

    Certificates and ONNX graphs for such networks are not valid for a subclass with a ``forward`` or a layer of its
    own.

    Parameters
    ----------
    module : nn.Module

    Returns
    -------
    bool

    Examples
    --------
    >>> from sklstm.networks._networks import LSTMNetwork, is_plain
    >>> class MeanOfStates(LSTMNetwork):
    ...     def forward(self, X, lengths=None):
    ...         return self.readout(self.recurrent(X)[0].mean(dim=1))
    >>> is_plain(LSTMNetwork(1, 4, 1)), is_plain(MeanOfStates(1, 4, 1))
    (True, False)
    """
    known = type(module).forward in (GatedNetwork.forward, RNNNetwork.forward)
    return (
        known
        and type(module.recurrent) in (nn.LSTM, nn.GRU, nn.RNN)
        and type(module.readout) is nn.Linear
        and type(module.linear_part) in (LinearPart, type(None))
    )


# Units are rounded up to this in `aligned`: 64 bytes of float32, the widest registers there are.
_ALIGNMENT = 16


@torch.no_grad()
def aligned(module: nn.Module) -> nn.Module:
    """The same function by a network with rows of multiples of 16, for predictions.

    The rows are those of states, and of a linear part. Matrix kernels treat rows differently by where they begin in
    memory. If rows are whole registers, all are treated alike, and an output does not depend on the position of its
    sequence in a batch. The added units have zero weights, so their states are zero, in LSTM, GRU, ReLU and tanh
    layers.

    Parameters
    ----------
    module : nn.Module

    Returns
    -------
    nn.Module
        ``module`` itself if nothing has to be added, or if it is none of this package's networks on a CPU.

    Examples
    --------
    >>> import torch
    >>> from sklstm.networks import GRUNetwork, aligned
    >>> module = GRUNetwork(n_features=2, hidden_size=5, n_outputs=1)
    >>> wide = aligned(module)
    >>> wide.recurrent.hidden_size
    16
    >>> X = torch.ones(3, 7, 2)
    >>> torch.allclose(wide(X), module(X), atol=1e-6)
    True
    """
    if not is_plain(module) or module.readout.weight.device.type != "cpu":
        return module
    linear = module.linear_part
    if linear is not None and (wide := linear.widened(_ALIGNMENT)) is not linear:
        module = copy.copy(module)
        module._modules = {**module._modules, "linear_part": wide}
    old = module.recurrent
    missing = -old.hidden_size % _ALIGNMENT
    # In another kind of layer than torch's, units of zero weights may not stay zero.
    if not missing or not isinstance(old, nn.RNNBase):
        return module
    size = old.hidden_size + missing
    twin = copy.copy(module)
    twin._modules = dict(module._modules)
    # On "meta" no memory is used and no random number is drawn.
    nonlinearity = {"nonlinearity": old.nonlinearity} if isinstance(old, nn.RNN) else {}
    new = cast(Callable[..., nn.RNNBase], type(old))(
        old.input_size, size, old.num_layers, bias=old.bias, batch_first=True, device="meta",
        dtype=module.readout.weight.dtype, **nonlinearity,
    )  # fmt: skip
    readout = nn.Linear(size, module.readout.out_features, bias=module.readout.bias is not None, device="meta")
    state = {}
    for name, weight in old.named_parameters():
        gates = weight.unflatten(0, (-1, old.hidden_size))  # (G, H, ...)
        above = name.startswith("weight_hh") or (name.startswith("weight_ih") and not name.endswith("_l0"))
        columns = (0, missing if above else 0) if weight.ndim == 2 else ()
        state[name] = nn.functional.pad(gates, (*columns, 0, missing)).flatten(0, 1)
    new.load_state_dict(state, assign=True)
    readout.weight = nn.Parameter(nn.functional.pad(module.readout.weight, (0, missing)))
    readout.bias = module.readout.bias
    names = {id(part): name for name, part in module._modules.items()}
    twin._modules[names[id(old)]], twin._modules["readout"] = new, readout
    return twin


def is_stackable(module: nn.Module) -> bool:
    """Whether `stacked_forward` supports the network: an LSTM of one layer, or the network of ReLU units.

    It may have a linear part, unless the matrix of this part is fixed.

    Parameters
    ----------
    module : nn.Module

    Returns
    -------
    bool

    Examples
    --------
    >>> from sklstm.networks import LSTMNetwork, RNNNetwork, is_stackable
    >>> is_stackable(RNNNetwork(2, 4, 1)), is_stackable(LSTMNetwork(2, 4, 1, num_layers=2))
    (True, False)
    """
    if type(module) is LSTMNetwork:
        return module.n_layers == 1 and (module.linear_part is None or module.linear_part.is_trained)
    return type(module) is RNNNetwork and module.cell == "relu"


def stacked_forward(module: nn.Module, weights: dict[str, Tensor], X: Tensor) -> Tensor:
    """Outputs of M networks of one shape, each for its own batch.

    Parameters
    ----------
    module : nn.Module
        One of the networks, for its structure; see `is_stackable`. Its weights are not used.
    weights : dict of str to Tensor of shape (M, ...)
        Their parameters by name, stacked, as `torch.func.stack_module_state` does.
    X : Tensor of shape (M, B, L, d)

    Returns
    -------
    Tensor of shape (M, B, k)

    Raises
    ------
    TypeError
        For another network.

    Examples
    --------
    >>> import torch
    >>> from sklstm.networks import RNNNetwork, stacked_forward
    >>> networks = [RNNNetwork(n_features=2, hidden_size=4, n_outputs=1) for _ in range(3)]
    >>> weights, _ = torch.func.stack_module_state(networks)
    >>> X = torch.ones(3, 10, 7, 2)  # ten sequences for each
    >>> outputs = stacked_forward(networks[0], weights, X)
    >>> all(torch.allclose(outputs[i], networks[i](X[i]), atol=1e-5) for i in range(3))
    True
    """
    if not is_stackable(module):
        raise TypeError(f"{type(module).__name__} is not a network that can be stacked.")
    to_outputs = weights["readout.weight"].mT  # (M, H, k)
    if isinstance(module, RNNNetwork):
        return torch.bmm(last_relu_state(X, weights["rnn.weight_ih_l0"], weights["rnn.weight_hh_l0"]), to_outputs)
    names = (f"{module.cell}.{part}_l0" for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    state = last_lstm_state(X, *(weights[name] for name in names))
    outputs = torch.baddbmm(weights["readout.bias"][:, None], state, to_outputs)
    part = module.linear_part
    if isinstance(part, LinearPart):
        last = last_steps(X.flatten(0, 1), None, part.n_steps).unflatten(0, X.shape[:2])  # (M, B, P)
        outputs = torch.baddbmm(outputs, last, weights["linear_part.values"].mT, alpha=part.unit)
    return cast(nn.Module, module.link)(outputs)
