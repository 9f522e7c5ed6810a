"""Draw the pictures of the user guide, one a page.

    python docs/pictures/draw.py             # all of them
    python docs/pictures/draw.py certify     # docs/guide/certify.png only

The script ``docs/pictures/NAME.py`` has a function ``draw(figure)`` and, if it wants another size than 7.2 by 3 inches,
``SIZE``. The picture is kept in the repository beside its page, ``docs/guide/NAME.md``.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

HERE = Path(__file__).parent
GUIDE = HERE.parent / "guide"
NAMES = sorted(path.stem for path in HERE.glob("*.py") if path.stem != "draw" and not path.stem.startswith("_"))
SIZE, DPI = (7.2, 3.0), 150

# Okabe and Ito's colours, which colour-blind readers tell apart.
BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
DARK, QUIET = "#222222", "#777777"
STYLE = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",  # on a dark page as well
    "savefig.facecolor": "white",
}


def load(name):
    """The module ``docs/pictures/NAME.py``."""
    spec = importlib.util.spec_from_file_location(f"picture_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def picture(name, path):
    """Write the picture of a page to the PNG file ``path``."""
    module = load(name)
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=getattr(module, "SIZE", SIZE), layout="constrained")
        module.draw(figure)
        figure.savefig(path, dpi=DPI, metadata={"Software": None})
        plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="pages; all without it")
    for name in parser.parse_args().names or NAMES:
        picture(name, GUIDE / f"{name}.png")
        print(GUIDE / f"{name}.png")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))  # for `from draw import BLUE`
    main()
