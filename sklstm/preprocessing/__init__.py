"""Sequences for recurrent estimators from series and tables; scaling and padding of sequences."""

from sklstm.preprocessing._containers import read_sequences
from sklstm.preprocessing._long_table import SequencesFromTable
from sklstm.preprocessing._padding import pad_sequences, unpad_sequences
from sklstm.preprocessing._scaler import SequenceScaler
from sklstm.preprocessing._windows import sliding_windows

__all__ = [
    "SequenceScaler",
    "SequencesFromTable",
    "pad_sequences",
    "read_sequences",
    "sliding_windows",
    "unpad_sequences",
]
