"""Choice of one regularisation parameter by cross-validation."""

from ._path import RegularizationPathCV

__all__ = ["RegularizationPathCV"]
