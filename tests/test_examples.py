import subprocess
import sys
from pathlib import Path

import joblib

QUICKSTART = Path(__file__).parents[1] / "examples" / "quickstart.py"


def test_quickstart_runs_quietly_and_leaves_its_picture_and_a_model(tmp_path):
    result = subprocess.run(
        [sys.executable, QUICKSTART, "--output", tmp_path], capture_output=True, text=True, timeout=500
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == "", "no warning, no traceback"
    lines = result.stdout.splitlines()
    assert len(lines) <= 25, "one screen"
    assert max(map(len, lines)) <= 100 + len(str(tmp_path))
    moved = {line[:20].strip(): float(line.split()[-2]) for line in lines if line.endswith("µg/m³")}
    assert moved["robust LSTM"] < moved["ridge, noisy data"] < moved["ridge regression"] < moved["LSTM"]
    assert "forecasts are identical" in result.stdout
    assert (tmp_path / "quickstart.png").read_bytes().startswith(b"\x89PNG")
    assert joblib.load(tmp_path / "forecaster.joblib").regressor_[-1].robust_eps > 0
    assert {path.name for path in tmp_path.iterdir()} == {"quickstart.png", "forecaster.joblib"}
