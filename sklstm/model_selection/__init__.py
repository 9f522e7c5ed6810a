"""A regularisation path with built-in cross-validation."""

from ._path import RegularizationPathCV

__all__ = ["RegularizationPathCV"]
