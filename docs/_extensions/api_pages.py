"""The API pages: an index by task, one page for each module and one for each public name.

They are made from ``__all__`` of the modules and written to ``docs/api`` before Sphinx reads its sources, so that no
name can be left out. autosummary's own templates would also list the methods of scikit-learn's mixins, whose docstrings
refer to labels of scikit-learn's site.
"""

import importlib
import inspect
import types
from pathlib import Path

from api_tasks import TASKS
from sphinx import addnodes
from sphinx.errors import ExtensionError
from sphinx.ext.autodoc.mock import mock
from sphinx.util.typing import stringify_annotation

#: In the order in which users meet them, each with what it is for.
MODULES = {
    "sklstm": "estimators, and functions of fitted estimators",
    "sklstm.preprocessing": "sequences from series and tables",
    "sklstm.datasets": "example data",
    "sklstm.model_selection": "choice of hyperparameters",
    "sklstm.metrics": "scores under noise and in the worst case",
    "sklstm.inspection": "plots",
    "sklstm.exceptions": "errors and warnings",
    "sklstm.adapters.aeon": "estimators for aeon",
    "sklstm.adapters.sktime": "estimators for sktime",
    "sklstm.tikhonov": "the penalty on input noise, and the estimated gains behind it, for PyTorch",
    "sklstm.certificates": "proved bounds on outputs under input errors, for PyTorch",
    "sklstm.generalization": "bounds on the error on new data, as functions",
    "sklstm.noise": "kinds of input noise",
    "sklstm.linalg": "matrix norms and projections",
    "sklstm.training": "the training of networks",
    "sklstm.persistence": "model files",
}
KINDS = {"autoclass": "Classes", "autoexception": "Exceptions", "autofunction": "Functions", "autodata": "Constants"}


def directive(target):
    if inspect.isclass(target):
        return "autoexception" if issubclass(target, BaseException) else "autoclass"
    return "autofunction" if inspect.isroutine(target) else "autodata"


def own_members(cls):
    """Public methods and properties that this package defines and documents."""
    for name in sorted(dir(cls)):
        if name.startswith("_"):
            continue
        member = inspect.getattr_static(cls, name)
        member = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if not inspect.isfunction(member) or not member.__doc__:
            continue
        if (inspect.unwrap(member).__module__ or "").startswith("sklstm"):
            yield name


def heading(text, line="="):
    return f"{text}\n{line * len(text)}\n\n"


def page_of(module, name, target):
    kind = directive(target)
    text = heading(name) + f".. currentmodule:: {module}\n\n"
    if isinstance(target, types.GenericAlias):  # autodata asks it for the signature of dict, and fails
        return text + f".. py:type:: {name}\n   :canonical: {stringify_annotation(target)}\n"
    text += f".. {kind}:: {name}\n"
    members = list(own_members(target)) if inspect.isclass(target) else []
    if members:
        text += f"   :members: {', '.join(members)}\n"
    if kind in ("autoclass", "autofunction"):
        text += f"\n.. minigallery:: {module}.{name}\n   :add-heading: Examples in the gallery\n   :heading-level: -\n"
    return text


def page_of_module(module, names):
    text = heading(module) + f".. automodule:: {module}\n   :no-members:\n\n.. currentmodule:: {module}\n\n"
    for kind, words in KINDS.items():
        mine = [name for name in names if directive(getattr(importlib.import_module(module), name)) == kind]
        if mine and kind == "autodata":  # a table takes an alias of a type for a class, and fails
            listed = "".join(f"* :py:obj:`{name}`\n" for name in mine)
            text += f".. rubric:: {words}\n\n{listed}\n"
        elif mine:
            listed = "".join(f"   {name}\n" for name in mine)
            text += f".. rubric:: {words}\n\n.. autosummary::\n   :nosignatures:\n\n{listed}\n"
    links = "".join(f"   generated/{module}.{name}\n" for name in names)
    return text + f".. toctree::\n   :hidden:\n\n{links}"


def table(rows):
    listed = "".join(f"   * - {left}\n     - {right}\n" for left, right in rows)
    return f".. list-table::\n   :class: api-table\n   :widths: 40 60\n\n{listed}\n"


def full_name(module, name, public):
    """Of a row of `TASKS`: its name in its own module or below the package, or a method of one of these."""
    for found in (f"{module}.{name}", f"sklstm.{name}"):
        if found in public or found.rpartition(".")[0] in public:
            return found
    raise ExtensionError(f"docs/_extensions/api_tasks.py: {module} has no {name}")


def index_page(public):
    """All public names by task, and all modules."""
    text = heading("API") + (
        "Every public name under the task for which you need it. Until version 1.0 a name may change from one release\n"
        "to the next, and the changelog says so. At the end is a :ref:`list of the modules <api-modules>`.\n\n"
    )
    listed = set()
    for title, module, explained_in, lines in TASKS:
        rows = []
        for name, line in lines.items():
            found = full_name(module, name, public)
            listed.add(found)
            rows.append((f":py:obj:`{name} <{found}>`", line))
        links = " · ".join(f":doc:`/{page}`" for page in explained_in)
        text += heading(title, "-") + f"Import from `{module}`. {links}".rstrip() + "\n\n" + table(rows)
    if missing := sorted(public - listed):
        raise ExtensionError(f"docs/_extensions/api_tasks.py has no line for {', '.join(missing)}")
    modules = table((f":doc:`{module}`", f"{words[0].upper()}{words[1:]}.") for module, words in MODULES.items())
    links = "".join(f"   {module}\n" for module in MODULES)
    return text + f".. _api-modules:\n\n{heading('Modules', '-')}{modules}.. toctree::\n   :hidden:\n\n{links}"


def write(path, text):
    """Only if it changed: Sphinx reads again what is newer than its last build."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def generate(app):
    pages = {}
    seen = set()
    public = set()
    for module in MODULES:
        with mock(app.config.autodoc_mock_imports):
            offered = importlib.import_module(module)
        found = {name: getattr(offered, name) for name in offered.__all__ if not name.startswith("__")}
        # What two modules offer is described in the first.
        names = [name for name, target in found.items() if id(target) not in seen]
        seen |= {id(found[name]) for name in names}
        public |= {f"{module}.{name}" for name in names}
        pages[f"{module}.rst"] = page_of_module(module, names)
        for name in names:
            pages[f"generated/{module}.{name}.rst"] = page_of(module, name, found[name])
    pages["index.rst"] = index_page(public)
    folder = Path(app.srcdir) / "api"
    for name, text in pages.items():
        write(folder / name, text)
    for path in set(folder.rglob("*.rst")) - {folder / name for name in pages}:
        path.unlink()


def name_once(app, doctree):
    """Leave the class or function of a page out of "On this page", because the title of the page is its name."""
    if app.env.current_document.docname.startswith("api/generated/"):
        for described in list(doctree.findall(addnodes.desc))[:1]:
            described["no-contents-entry"] = True


def setup(app):
    app.connect("builder-inited", generate)
    app.connect("doctree-read", name_once, priority=100)  # before the contents are collected
    return {"parallel_read_safe": True}
