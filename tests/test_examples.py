import subprocess
import sys
from pathlib import Path

import joblib

EXAMPLES = Path(__file__).parents[1] / "examples"
# All that it does, with one seed of three, one value of three to search, fewer epochs, and in one process: searches in
# several are tested elsewhere.
BRIEFLY = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import joblib
import quickstart
joblib.parallel_config(backend="sequential")
quickstart.EPOCHS = 10
quickstart.SMALL.set_params(epochs=3, stage_epochs=1, n_trials=10)
quickstart.SEEDS = quickstart.SEEDS[:1]
quickstart.GRIDS = {name: values[1:2] for name, values in quickstart.GRIDS.items()}
quickstart.main()
"""


def test_quickstart_runs_quietly_and_leaves_its_picture_and_models(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", BRIEFLY, EXAMPLES, "--output", tmp_path],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == "", "no warning, no traceback"
    assert "predictions identical" in result.stdout
    assert (tmp_path / "quickstart.png").read_bytes().startswith(b"\x89PNG")
    assert joblib.load(tmp_path / "forecaster.joblib").regressor_["lstm"].robust_eps > 0
    assert (tmp_path / "classifier.joblib").exists()
