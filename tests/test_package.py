import subprocess
import sys

import sklstm


def test_public_names_exist():
    for name in sklstm.__all__:
        assert hasattr(sklstm, name)
    for subpackage in (
        "tikhonov",
        "certificates",
        "generalization",
        "preprocessing",
        "datasets",
        "inspection",
        "metrics",
    ):
        module = __import__(f"sklstm.{subpackage}", fromlist=["__all__"])
        assert module.__all__
        for name in module.__all__:
            assert getattr(module, name).__doc__, f"{subpackage}.{name} has no docstring"


def test_import_needs_no_optional_package_and_changes_no_process_state():
    # In a fresh interpreter: matplotlib and the toolkits of the adapters are extras; thread count and random states
    # belong to the user.
    script = (
        "import sys, torch, numpy as np\n"
        "before = torch.get_num_threads(), torch.random.get_rng_state(), str(np.random.get_state())\n"
        "import sklstm, sklstm.tikhonov, sklstm.generalization, sklstm.preprocessing, sklstm.datasets\n"
        "import sklstm.inspection, sklstm.metrics\n"
        "after = torch.get_num_threads(), torch.random.get_rng_state(), str(np.random.get_state())\n"
        "assert before[0] == after[0] and torch.equal(before[1], after[1]) and before[2] == after[2]\n"
        "optional = {'matplotlib', 'aeon', 'sktime', 'sklstm.adapters'} & set(sys.modules)\n"
        "assert not optional, f'imported without being asked for: {optional}'\n"
        "from sklearn.base import clone\n"
        "names = [name for name in sklstm.__all__ if name.endswith(('Regressor', 'Classifier'))]\n"
        "assert [clone(getattr(sklstm, name)(device='cuda')) for name in names]\n"
        "assert not torch.cuda.is_initialized(), 'no device was asked for'\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=120)
