"""Series into the arrays that recurrent estimators take."""

from sklstm.preprocessing._windows import sliding_windows

__all__ = ["sliding_windows"]
