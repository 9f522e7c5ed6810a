"""The gallery: the order of its examples, and their notebooks.

sphinx-gallery makes a notebook of every example. Its text cells are Markdown, but roles of Sphinx stay in them as they
are: here they become links to the site. `docs/check_notebooks.py` looks at the result.
"""

import json
import re
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from sphinx.errors import ConfigError

#: In the order in which a user would ask. Every example is in it.
ORDER = [
    "plot_forecast.py",
    "plot_dataframe_pipeline.py",
    "plot_ragged_vowels.py",
    "plot_certified_band.py",
    "plot_noisy_sensors.py",
    "plot_three_intervals.py",
    "plot_certified_radius.py",
    "plot_quantile_interval.py",
    "plot_lambda_path.py",
    "plot_path_vs_grid.py",
    "plot_noise_generalization.py",
    "plot_generalization_bounds.py",
    "plot_save_load_onnx.py",
    "plot_own_training_loop.py",
]
EXAMPLES = Path(__file__).parents[2] / "examples"
#: The first cell of every notebook.
INSTALL = '# Install the package, unless it is there already.\n%pip install -q "sklstm[onnx,plot,tables]" onnxruntime'
SITE = "https://sklstm.readthedocs.io/page"  # the page of the current version
DOCUMENT = re.compile(r":doc:`([^`<]+?)\s*<(/[\w/]+)>`")


class ByQuestion:
    """Key by which sphinx-gallery sorts the examples."""

    def __init__(self, src_dir):
        if set(ORDER) ^ {path.name for path in EXAMPLES.glob("plot_*.py")}:
            raise ConfigError("ORDER in docs/_extensions/gallery_pages.py must name every example, and nothing else.")

    def __call__(self, filename):
        return by_question(filename)


def by_question(filename):
    """The key of the small galleries on the pages of the API."""
    return ORDER.index(Path(filename).name)


def with_links(markdown):
    return DOCUMENT.sub(lambda match: f"[{' '.join(match[1].split())}]({SITE}{match[2]}.html)", markdown)


def mend_notebooks(app, env, docnames):
    """Write links into the finished notebooks, and into their archive. Worker processes have made them."""
    folder = Path(app.srcdir) / "gallery"
    notebooks = sorted(folder.glob("*.ipynb"))
    for path in notebooks:
        book = json.loads(path.read_text(encoding="utf-8"))
        for cell in book["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = with_links("".join(cell["source"])).splitlines(keepends=True)
        path.write_text(json.dumps(book, indent=2), encoding="utf-8")
    for archive in folder.glob("*_jupyter.zip"):
        with ZipFile(archive, "w", ZIP_DEFLATED) as file:
            for path in notebooks:
                file.write(path, path.name)


def setup(app):
    app.connect("env-before-read-docs", mend_notebooks)
    return {"parallel_read_safe": True}
