"""How the site is built: `make docs`. Nothing is fetched; every warning is an error."""

import os
import sys
from pathlib import Path

import sklstm

os.environ.setdefault("MPLBACKEND", "agg")
sys.path.insert(0, str(Path(__file__).parent / "_extensions"))
from gallery_pages import INSTALL

project = "sklstm"
author = "the sklstm developers"
copyright = "the sklstm developers, BSD-3-Clause"
release = version = sklstm.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "api_pages",
    "gallery_pages",
]
exclude_patterns = ["_build", "_extensions"]
templates_path = ["_templates"]
default_role = "py:obj"  # a single backtick in a docstring is a link where there is something to link to
smartquotes = False  # "turkin" is a string
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}

# Pages are Markdown that reads on a forge as well as here: links are paths of files.
myst_enable_extensions = ["attrs_inline", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

# One page a public name; numpydoc would list inherited methods of scikit-learn's mixins again on every page.
autosummary_generate = True
toc_object_entries_show_parents = "hide"  # "On this page" is about one class already
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
autodoc_typehints = "none"  # the docstrings have them, in words
autodoc_mock_imports = ["aeon", "sktime"]  # the adapters are described without them

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"plot_",
    "ignore_pattern": r"(__init__|quickstart)\.py",
    "within_subsection_order": "gallery_pages.ByQuestion",
    "minigallery_sort_order": "gallery_pages.by_question",
    "first_notebook_cell": INSTALL,
    "image_srcset": ["2x"],  # sharp on a phone
    "thumbnail_size": (640, 448),
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("sklstm",),
    "reference_url": {"sklstm": None},
    "remove_config_comments": True,
    "capture_repr": (),  # diagrams of estimators are unreadable in dark mode
    "show_memory": False,
    "write_computation_times": False,  # its pages fetch scripts when they are looked at
    "show_signature": False,
    "min_reported_time": 0,
    "image_scrapers": ("matplotlib",),
    "matplotlib_animations": False,
    "abort_on_example_error": True,
    "parallel": 2,  # processes
}

html_theme = "pydata_sphinx_theme"
html_title = "sklstm"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "show_prev_next": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": {"**": ["page-toc", "sg_download_links"], "gallery/index": ["page-toc"]},
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
}
html_sidebars = {"getting_started": [], "index": []}

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
