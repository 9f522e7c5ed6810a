"""Small real data shipped with the package, and loaders for larger data that the user has; nothing is downloaded."""

from sklstm.datasets._beijing_pm25 import load_beijing_pm25
from sklstm.datasets._bike_sharing import load_bike_sharing
from sklstm.datasets._imdb import load_imdb, prepare_imdb
from sklstm.datasets._japanese_vowels import load_japanese_vowels
from sklstm.datasets._sunspots import load_sunspots

__all__ = [
    "load_beijing_pm25",
    "load_bike_sharing",
    "load_imdb",
    "load_japanese_vowels",
    "load_sunspots",
    "prepare_imdb",
]
