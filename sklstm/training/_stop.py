"""How a callback ends training."""

__all__ = ["StopTraining"]


class StopTraining(Exception):
    """Raise it in a callback to end training at the end of an epoch. Ctrl-C stays what it is: an interruption."""
