"""The gains (52) and (53) of Turkin 2017 in plain floats, and norms to try them on."""

from math import exp, sqrt

NORMS_X, NORMS_H = (0.3, 0.7, 0.2, 0.5), (0.11, 0.23, 0.05, 0.4)


def turkin_by_hand(norms_x, norms_h):
    """(52) and (53) with the constants as printed, in plain floats."""
    alpha, beta = 1 / 4, 17 / 16
    (ix, fx, gx, ox), (ih, fh, gh, oh) = norms_x, norms_h
    gamma_x, gamma_h = alpha * fx + beta * (ix + gx), alpha * fh + beta * (ih + gh)
    denominator = exp(1 - beta * oh)
    rho_x = sqrt(2) * (gamma_x + sqrt(2) * (beta * gamma_x * oh + ox) / denominator)
    rho_h = sqrt(2) * (gamma_h + beta * gamma_h * oh / denominator)
    return rho_x, rho_h, beta * oh


def tight_by_hand(norms_x, norms_h):
    alpha = 1 / 4
    (ix, fx, gx, ox), (ih, fh, gh, oh) = norms_x, norms_h
    gamma_x, gamma_h = alpha * fx + ix + gx, alpha * fh + ih + gh
    a_x, a_h = (gamma_x * oh + ox) / exp(1 - oh), gamma_h * oh / exp(1 - oh)
    return sqrt(gamma_x**2 + a_x**2), sqrt(gamma_h**2 + a_h**2), oh


BY_HAND = {"turkin": turkin_by_hand, "tight": tight_by_hand}
