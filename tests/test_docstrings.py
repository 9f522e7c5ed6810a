"""The docstrings of everything public, by numpydoc's rules and against what they describe."""

import ast
import builtins
import doctest
import importlib
import inspect
import pkgutil
from dataclasses import fields, is_dataclass
from importlib.util import find_spec

import pytest

import sklstm

numpydoc = pytest.importorskip("numpydoc.docscrape")
validate = pytest.importorskip("numpydoc.validate").validate

SUBPACKAGES = [
    "sklstm",
    "sklstm.certificates",
    "sklstm.datasets",
    "sklstm.exceptions",
    "sklstm.generalization",
    "sklstm.inspection",
    "sklstm.metrics",
    "sklstm.linalg",
    "sklstm.model_selection",
    "sklstm.noise",
    "sklstm.tikhonov",
    "sklstm.persistence",
    "sklstm.preprocessing",
    "sklstm.training",
]
# They need the packages that they adapt to; `make check-adapters` has these.
ADAPTERS = [f"sklstm.adapters.{name}" for name in ("aeon", "sktime") if find_spec(name) is not None]
SUBPACKAGES += ADAPTERS
# The networks are tested beside their formulas; their examples, here.
NETWORKS = "sklstm.networks"
# Where people come from scikit-learn, every parameter gets a sentence.
FOR_USERS = {
    "sklstm",
    "sklstm.datasets",
    "sklstm.inspection",
    "sklstm.metrics",
    "sklstm.model_selection",
    "sklstm.preprocessing",
    *ADAPTERS,
}

HOUSE_STYLE = {
    "SS05": "takes every first word that ends in s, Bounds and Targets, for a verb in the third person",
    "ES01": "what a summary says in full needs no second sentence",
    "PR08": "a symbol keeps its case",
    "RT03": "a type with its shape may say it all",
    "RT04": "a dtype keeps its case",
    "SA01": "most functions stand alone",
}
OF_MEMBERS = {"EX01": "methods have examples of their own or in their class, see below; properties need none"}
WITHOUT_SENTENCE = {"PR07": "in mathematics and machinery, a name with its shape may say it all"}

# Methods that no example calls.
UNCALLED = {
    "sklstm.training.Penalty.forget": "called by the net",
    "sklstm.training.Penalty.load_state_dict": "called by the net",
    "sklstm.training.Penalty.stack": "called by train_together",
    "sklstm.training.Penalty.state_dict": "called by the net",
    "sklstm.training.PinballLoss.forward": "called by torch",
    "sklstm.training.SequenceDataset.loaded": "a step of train",
    "sklstm.training.SequenceNet.on_train_over": "an event, of which the net tells its callbacks",
    "sklstm.training.SequenceNet.epochs_until": "a step of train, for train_together",
    "sklstm.training.SequenceNet.leave": "a step of train, for train_together",
    "sklstm.training.SequenceNet.settle": "a step of train",
    "sklstm.training.SequenceNet.record_training": "a step of train, for train_together",
}


def is_foreign(function):
    return not (getattr(function, "__module__", None) or "").startswith("sklstm")


def own_members(cls):
    """Public methods and properties defined here, without those that another library's class documents."""
    for name in dir(cls):
        if name.startswith("_"):
            continue
        member = inspect.getattr_static(cls, name)
        member = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if not inspect.isfunction(member) or is_foreign(inspect.unwrap(member)):
            continue
        # A method that overrides skorch's or scikit-learn's does what their documentation says.
        bases = [base for base in cls.__mro__ if is_foreign(base) and name in vars(base) and base is not object]
        if not (bases and not member.__doc__):
            yield name


def public_names(subpackages):
    for subpackage in subpackages:
        module = importlib.import_module(subpackage)
        for name in module.__all__:
            target = getattr(module, name)
            if inspect.isclass(target) or inspect.isfunction(target):
                yield f"{subpackage}.{name}"
            if inspect.isclass(target):
                yield from (f"{subpackage}.{name}.{member}" for member in own_members(target))


NAMES = list(public_names(SUBPACKAGES))
WITH_EXAMPLES = [*NAMES, *public_names([NETWORKS])]


def resolve(name):
    for subpackage in sorted([*SUBPACKAGES, NETWORKS], key=len, reverse=True):
        if name.startswith(f"{subpackage}."):
            target = importlib.import_module(subpackage)
            for part in name.removeprefix(f"{subpackage}.").split("."):
                target = getattr(target, part)
            return subpackage, target
    raise AssertionError(name)


def record_fields(target):
    """Fields of a dataclass or a named tuple, which its Attributes describe; None of anything else."""
    if not inspect.isclass(target):
        return None
    if is_dataclass(target):
        return [field.name for field in fields(target)]
    return list(target._fields) if issubclass(target, tuple) and hasattr(target, "_fields") else None


def owner_of(name):
    """The class of a member; None of what is in ``__all__`` itself."""
    owner = name.rpartition(".")[0]
    return None if owner in (*SUBPACKAGES, NETWORKS) else resolve(owner)[1]


def documented(target, section):
    entries = numpydoc.NumpyDocString(inspect.getdoc(target))[section]
    return [name.strip() for entry in entries for name in entry.name.split(",")]


def test_no_room_is_left_out():
    subpackages = {f"sklstm.{module.name}" for module in pkgutil.iter_modules(sklstm.__path__) if module.name[0] != "_"}
    # The estimators are those of sklstm.
    assert subpackages - set(SUBPACKAGES) == {"sklstm.estimators", NETWORKS, "sklstm.adapters"}
    assert len(NAMES) > 200


@pytest.mark.parametrize("name", NAMES)
def test_numpydoc_has_nothing_to_say(name):
    subpackage, target = resolve(name)
    exempt = set(HOUSE_STYLE) | (set() if subpackage in FOR_USERS else set(WITHOUT_SENTENCE))
    exempt |= set() if owner_of(name) is None else set(OF_MEMBERS)
    names = record_fields(target)
    if names is not None and not documented(target, "Parameters"):
        assert set(names) <= set(documented(target, "Attributes"))
        exempt.add("PR01")
    if getattr(target, "_is_protocol", False) and inspect.isclass(target):
        exempt.add("PR01")  # nobody calls it
    errors = validate(name)["errors"]
    assert [error for error in errors if error[0] not in exempt] == []


@pytest.mark.parametrize("name", NAMES)
def test_lines_fit_the_page(name):
    _, target = resolve(name)
    lines = inspect.getdoc(target).splitlines()
    assert max(map(len, lines)) <= 120
    assert not any(line != line.rstrip() for line in lines)


def test_every_exemption_is_needed():
    """So that the list of them stays short."""
    found = {code for name in NAMES for code, _ in validate(name)["errors"]}
    assert set(HOUSE_STYLE) | set(OF_MEMBERS) | set(WITHOUT_SENTENCE) <= found


def examples(target):
    """Syntax trees of the examples in a docstring, which pytest runs from the sources."""
    text = inspect.getdoc(target) or ""
    return [ast.parse(example.source) for example in doctest.DocTestParser().get_examples(text)]


def nodes(trees, kind):
    return (node for tree in trees for node in ast.walk(tree) if isinstance(node, kind))


def called(trees):
    functions = [call.func for call in nodes(trees, ast.Call)]
    return {function.attr for function in functions if isinstance(function, ast.Attribute)}


@pytest.mark.parametrize("name", [name for name in WITH_EXAMPLES if owner_of(name) is None])
def test_every_name_has_an_example(name):
    _, target = resolve(name)
    section = numpydoc.NumpyDocString(inspect.getdoc(target))["Examples"]
    assert any(line.startswith(">>> ") for line in section)
    assert "doctest: +SKIP" not in "".join(section)


def test_every_method_is_called_in_an_example():
    methods = [name for name in WITH_EXAMPLES if owner_of(name) is not None and inspect.isroutine(resolve(name)[1])]
    uncalled = {
        name
        for name in methods
        if name.rpartition(".")[2] not in called(examples(resolve(name)[1]) + examples(owner_of(name)))
    }
    assert uncalled == set(UNCALLED)
    assert len(methods) > 80


@pytest.mark.parametrize("name", [name for name in WITH_EXAMPLES if examples(resolve(name)[1])])
def test_examples_can_be_copied(name):
    """They use no name of the module that they stand in, which pytest would lend them."""
    trees = examples(resolve(name)[1])
    imported = {(alias.asname or alias.name).split(".")[0] for alias in nodes(trees, ast.alias)}
    arguments = {argument.arg for argument in nodes(trees, ast.arg)}
    defined = {node.name for node in nodes(trees, ast.ClassDef | ast.FunctionDef | ast.ExceptHandler)}
    used, assigned = set(), set()
    for node in nodes(trees, ast.Name):
        (used if isinstance(node.ctx, ast.Load) else assigned).add(node.id)
    assert used - imported - arguments - defined - assigned - set(dir(builtins)) == set()
