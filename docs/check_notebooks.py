"""Check the notebooks of the gallery in the finished site: they must run in Jupyter and in Colab as they are.

    python docs/check_notebooks.py docs/_build/html

The first cell installs the package. All other code must be valid Python that imports only what this cell installs, and
that needs no file beside the notebook. Text must be Markdown, without roles and directives of Sphinx. Nothing is run.
"""

import ast
import json
import re
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))
from gallery_pages import EXAMPLES, INSTALL, ORDER

SPHINX = re.compile(r":[a-z:]+:`|^\.\. |`_\b|^[=-]{4,}$", re.MULTILINE)


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def installed():
    """The packages that the first cell installs by name: those in its line and what they say that they need."""
    named = [Requirement(word) for word in INSTALL.partition("-q ")[2].replace('"', "").split()]
    found = {normal(package.name) for package in named}
    for package in named:
        for needed in map(Requirement, requires(package.name) or []):
            extras = package.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                found.add(normal(needed.name))
    return found


def imported(tree):
    """The modules that code imports, without submodules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." if node.level else node.module.partition(".")[0]


def faults_of_code(code, available):
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        yield f"not Python: {error}"
        return
    providers = packages_distributions()
    for module in sorted(set(imported(tree)) - sys.stdlib_module_names):
        if not available & set(map(normal, providers.get(module, []))):
            yield f"imports {module}, which the first cell does not install"
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "__file__":
            yield "uses __file__"
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and (EXAMPLES / node.value).is_file():
            yield f"needs the file {node.value}"


def faults(path, available):
    """What is wrong with a notebook, a line each."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(path.read_text("utf-8"))["cells"]]
    if cells[0] != ("code", INSTALL):
        yield f"{path.name}: does not begin with the cell that installs"
    for kind, text in cells[1:]:
        if kind == "code":
            yield from (f"{path.name}: {fault}" for fault in faults_of_code(text, available))
        else:
            yield from (f"{path.name}: {found[0]!r} in its text" for found in SPHINX.finditer(text))


def main(arguments):
    notebooks = {path.stem: path for path in Path(arguments[0]).glob("_downloads/*/plot_*.ipynb")}
    examples = {name.removesuffix(".py") for name in ORDER}
    found = [f"{name}: no notebook" for name in sorted(examples - set(notebooks))]
    available = installed()
    for name in sorted(examples & set(notebooks)):
        found += faults(notebooks[name], available)
    print("\n".join(found) or f"{len(notebooks)} notebooks: nothing to mend")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
