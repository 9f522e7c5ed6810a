"""The API pages, one a room and one a public name, from what the rooms' ``__all__`` say.

Written to ``docs/api`` before Sphinx reads its sources, so that no name can be left out. autosummary's own templates
would list the methods of scikit-learn's mixins too, whose docstrings refer to labels of scikit-learn's site.
"""

import importlib
import inspect
import types
from pathlib import Path

from sphinx.ext.autodoc.mock import mock
from sphinx.util.typing import stringify_annotation

#: In the order in which people meet them, each with its title.
ROOMS = {
    "sklstm": "Estimators",
    "sklstm.model_selection": "Choosing hyperparameters",
    "sklstm.metrics": "Scorers",
    "sklstm.inspection": "Displays",
    "sklstm.preprocessing": "Sequences from series and tables",
    "sklstm.datasets": "Data",
    "sklstm.tikhonov": "Input noise to output, estimated: gains and penalty",
    "sklstm.certificates": "Input noise to output, proved: bounds",
    "sklstm.generalization": "Training error to test error: bounds",
    "sklstm.noise": "Kinds of noise",
    "sklstm.linalg": "Norms and projections",
    "sklstm.training": "Training",
    "sklstm.persistence": "Saved models",
    "sklstm.exceptions": "Errors and warnings",
    "sklstm.adapters.aeon": "For aeon",
    "sklstm.adapters.sktime": "For sktime",
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


def page_of(room, name, target):
    kind = directive(target)
    text = heading(name) + f".. currentmodule:: {room}\n\n"
    if isinstance(target, types.GenericAlias):  # autodata asks it for the signature of dict, and fails
        return text + f".. py:type:: {name}\n   :canonical: {stringify_annotation(target)}\n"
    text += f".. {kind}:: {name}\n"
    members = list(own_members(target)) if inspect.isclass(target) else []
    if members:
        text += f"   :members: {', '.join(members)}\n"
    if kind in ("autoclass", "autofunction"):
        text += f"\n.. minigallery:: {room}.{name}\n   :add-heading: In the gallery\n   :heading-level: -\n"
    return text


def page_of_room(room, title, names):
    module = importlib.import_module(room)
    text = heading(f"{room}: {title[0].lower()}{title[1:]}") + f".. automodule:: {room}\n   :no-members:\n\n"
    text += f".. currentmodule:: {room}\n\n"
    for kind, words in KINDS.items():
        mine = [name for name in names if directive(getattr(module, name)) == kind]
        if mine and kind == "autodata":  # a table takes an alias of a type for a class, and fails
            listed = "".join(f"* :py:obj:`{name}`\n" for name in mine)
            text += f".. rubric:: {words}\n\n{listed}\n"
        elif mine:
            listed = "".join(f"   {name}\n" for name in mine)
            text += f".. rubric:: {words}\n\n.. autosummary::\n   :nosignatures:\n\n{listed}\n"
    links = "".join(f"   generated/{room}.{name}\n" for name in names)
    return text + f".. toctree::\n   :hidden:\n\n{links}"


def write(path, text):
    """Only if it changed: Sphinx reads again what is newer than its last build."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def generate(app):
    folder = Path(app.srcdir) / "api"
    wanted = {folder / "index.rst"}
    seen = set()
    for room, title in ROOMS.items():
        with mock(app.config.autodoc_mock_imports):
            module = importlib.import_module(room)
        # What two rooms offer is described in the first.
        names = [name for name in module.__all__ if not name.startswith("__") and id(getattr(module, name)) not in seen]
        seen |= {id(getattr(module, name)) for name in names}
        write(folder / f"{room}.rst", page_of_room(room, title, names))
        wanted.add(folder / f"{room}.rst")
        for name in names:
            path = folder / "generated" / f"{room}.{name}.rst"
            write(path, page_of(room, name, getattr(module, name)))
            wanted.add(path)
    listed = "".join(f"   {room}\n" for room in ROOMS)
    write(
        folder / "index.rst",
        heading("API")
        + "Everything that can be imported without an underscore. Until 1.0 a name may still change from one release\n"
        "to the next; the changelog then says so.\n\n"
        f".. toctree::\n   :maxdepth: 1\n\n{listed}",
    )
    for path in set(folder.rglob("*.rst")) - wanted:
        path.unlink()


def setup(app):
    app.connect("builder-inited", generate)
    return {"parallel_read_safe": True}
