"""How far an adversary can move the outputs of a network within a box: projected gradient, and random corners."""

import torch


def signed_gradient(function, X, eps, output, sign, n_steps=20):
    """Inputs within X ± eps (broadcast) that push one output up (sign 1) or down (-1), by projected signed gradients.

    The first step goes to the corner that the gradient at X points to, the later ones move by shrinking steps.
    """
    lower, upper = X - eps, X + eps
    point, best, best_value = X, X, None
    for step in range(n_steps):
        point = point.detach().requires_grad_(True)
        value = sign * function(point)[:, output]
        if best_value is not None:
            better = value > best_value
            best, best_value = torch.where(better[:, None, None], point, best), torch.maximum(value, best_value)
        else:
            best_value = value
        (gradient,) = torch.autograd.grad(value.sum(), point)
        size = 2.0 if step == 0 else 1.0 / step
        point = (point.detach() + size * eps * gradient.sign()).clamp(min=lower, max=upper)
    with torch.no_grad():
        value = sign * function(point)[:, output]
        return torch.where((value > best_value)[:, None, None], point, best).detach()


def random_corner(X, eps, generator):
    """A random corner of the box."""
    signs = torch.randint(0, 2, X.shape, generator=generator, device="cpu").to(X) * 2 - 1
    return (X + eps * signs).clamp(min=X - eps, max=X + eps)


def strongest(function, X, eps, output=0, n_steps=20):
    """Largest |change| of one output that the signed-gradient attack finds, for each row of X."""
    with torch.no_grad():
        centre = function(X)[:, output]
    moved = []
    for sign in (1, -1):
        point = signed_gradient(function, X, eps, output, sign, n_steps)
        with torch.no_grad():
            moved.append((function(point)[:, output] - centre).abs())
    return torch.stack(moved).amax(0)
