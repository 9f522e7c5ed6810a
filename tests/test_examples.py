import subprocess
import sys
from pathlib import Path

import joblib

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_quickstart_runs_quietly_and_leaves_its_picture_and_models(tmp_path):
    result = subprocess.run(
        [sys.executable, EXAMPLES / "quickstart.py", "--output", tmp_path],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == "", "no warning, no traceback"
    assert "predictions identical" in result.stdout
    assert (tmp_path / "quickstart.png").read_bytes().startswith(b"\x89PNG")
    assert joblib.load(tmp_path / "forecaster.joblib").regressor_["lstm"].rho_h_ < 1
    assert (tmp_path / "classifier.joblib").exists()
