"""Small real data shipped with the package, and loaders for larger data that you have; nothing is downloaded."""

from sklstm.datasets._imdb import load_imdb, prepare_imdb
from sklstm.datasets._shipped import load_beijing_pm25, load_bike_sharing, load_japanese_vowels, load_sunspots

__all__ = [
    "load_beijing_pm25",
    "load_bike_sharing",
    "load_imdb",
    "load_japanese_vowels",
    "load_sunspots",
    "prepare_imdb",
]
