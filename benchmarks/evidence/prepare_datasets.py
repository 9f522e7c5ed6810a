"""Pack the source files of the shipped datasets into the archives under ``sklstm/datasets/data``.

    python -m benchmarks.evidence.prepare_datasets SOURCE [--output sklstm/datasets/data]

``SOURCE`` holds ``bike_sharing/hour.csv``, ``beijing_pm25/pollution.csv``,
``JapaneseVowels/JapaneseVowels_TRAIN.ts``, ``JapaneseVowels/JapaneseVowels_TEST.ts`` and
``sunspots/monthly-sunspots.csv``. No number is rounded: a printed decimal is stored as the integer ``printed
* 10**decimals``, which compresses well, and dividing by the power of ten gives back the very float that
parsing the text would have given. The script stops if one number does not.
"""

import argparse
import csv
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np

WIND_DIRECTIONS = ("NE", "NW", "SE", "cv")
BIKE_COLUMNS = {  # name in the archive: name in hour.csv
    "cnt": "cnt",
    "temp": "temp",
    "atemp": "atemp",
    "hum": "hum",
    "windspeed": "windspeed",
    "weathersit": "weathersit",
    "hour": "hr",
    "weekday": "weekday",
    "month": "mnth",
    "holiday": "holiday",
    "workingday": "workingday",
}


def pack_column(printed):
    """Printed numbers as integers of the smallest dtype, "NA" as its minimum, and the number of decimals."""
    numbers = [None if text == "NA" else Decimal(text) for text in printed]
    decimals = max(max(0, -number.as_tuple().exponent) for number in numbers if number is not None)
    scaled = [None if number is None else int(number.scaleb(decimals)) for number in numbers]
    present = [value for value in scaled if value is not None]
    for dtype in (np.int8, np.int16, np.int32, np.int64):
        info = np.iinfo(dtype)
        if info.min < min(present) and max(present) <= info.max:
            break
    packed = np.array([info.min if value is None else value for value in scaled], dtype=dtype)

    unpacked = np.where(packed == info.min, np.nan, packed / 10.0**decimals)
    parsed = np.array([np.nan if text == "NA" else float(text) for text in printed])
    if not np.array_equal(unpacked, parsed, equal_nan=True):
        raise SystemExit("a number did not survive packing")
    return packed, decimals


def pack_table(columns):
    """The members of an archive that holds `columns`, a dict of name: printed numbers."""
    packed = [pack_column(printed) for printed in columns.values()]
    members = {f"column_{j}": values for j, (values, _) in enumerate(packed)}
    members["decimals"] = np.array([decimals for _, decimals in packed], dtype=np.int8)
    members["feature_names"] = np.array(list(columns))
    return members


def pack_times(times):
    """Increasing times as a first one and the steps between them."""
    steps = np.diff(times).astype(np.int64)
    if steps.min() < 1 or steps.max() > 255:
        raise SystemExit("times must increase, by at most 255 units")
    return {"start": times[0], "steps": steps.astype(np.uint8)}


def read_rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def pack_bike_sharing(source):
    rows = read_rows(source / "bike_sharing" / "hour.csv")
    days = [datetime.strptime(row["dteday"], "%m/%d/%y") for row in rows]
    times = np.array(days, dtype="datetime64[h]") + np.array([int(row["hr"]) for row in rows])
    columns = {name: [row[key] for row in rows] for name, key in BIKE_COLUMNS.items()}
    return pack_table(columns) | pack_times(times)


def pack_beijing_pm25(source):
    rows = read_rows(source / "beijing_pm25" / "pollution.csv")
    times = np.array(
        [datetime(*(int(row[key]) for key in ("year", "month", "day", "hour"))) for row in rows],
        dtype="datetime64[h]",
    )
    columns = {name: [row[name] for row in rows] for name in ("pm2.5", "DEWP", "TEMP", "PRES", "Iws", "Is", "Ir")}
    if {row["cbwd"] for row in rows} != set(WIND_DIRECTIONS):
        raise SystemExit("unexpected wind directions")
    for direction in WIND_DIRECTIONS:
        columns[f"cbwd_{direction}"] = [str(int(row["cbwd"] == direction)) for row in rows]
    return pack_table(columns) | pack_times(times)


def read_ts(path):
    """Sequences of a ``.ts`` file, each a list of channels of printed numbers, and the labels."""
    sequences, labels = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#@":
            *channels, label = line.split(":")
            sequences.append([channel.split(",") for channel in channels])
            labels.append(int(label))
    return sequences, labels


def pack_japanese_vowels(source):
    train, train_labels = read_ts(source / "JapaneseVowels" / "JapaneseVowels_TRAIN.ts")
    test, test_labels = read_ts(source / "JapaneseVowels" / "JapaneseVowels_TEST.ts")
    sequences = train + test
    columns = {f"cepstrum_{j + 1}": [text for channels in sequences for text in channels[j]] for j in range(12)}
    return pack_table(columns) | {
        "lengths": np.array([len(channels[0]) for channels in sequences], dtype=np.uint8),
        "labels": np.array(train_labels + test_labels, dtype=np.uint8),
        "n_train": np.int64(len(train)),
    }


def pack_sunspots(source):
    rows = read_rows(source / "sunspots" / "monthly-sunspots.csv")
    times = np.array([row["Month"] for row in rows], dtype="datetime64[M]")
    return pack_table({"sunspots": [row["Sunspots"] for row in rows]}) | pack_times(times)


PACKERS = {
    "bike_sharing": pack_bike_sharing,
    "beijing_pm25": pack_beijing_pm25,
    "japanese_vowels": pack_japanese_vowels,
    "sunspots": pack_sunspots,
}


def main():
    parser = argparse.ArgumentParser(description="Pack the source files of the shipped datasets.")
    parser.add_argument("source", type=Path, help="folder of the source files")
    default = Path(__file__).resolve().parents[2] / "sklstm" / "datasets" / "data"
    parser.add_argument("--output", type=Path, default=default, help="folder of the archives")
    arguments = parser.parse_args()
    for name, pack in PACKERS.items():
        path = arguments.output / f"{name}.npz"
        np.savez_compressed(path, **pack(arguments.source))
        print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
