"""The docstrings of everything public, by numpydoc's rules and against what they describe."""

import importlib
import inspect
import pkgutil
from dataclasses import fields, is_dataclass

import pytest

import sklstm

numpydoc = pytest.importorskip("numpydoc.docscrape")
validate = pytest.importorskip("numpydoc.validate").validate

ROOMS = [
    "sklstm",
    "sklstm.datasets",
    "sklstm.exceptions",
    "sklstm.generalization",
    "sklstm.inspection",
    "sklstm.linalg",
    "sklstm.model_selection",
    "sklstm.noise",
    "sklstm.perturbation",
    "sklstm.persistence",
    "sklstm.preprocessing",
    "sklstm.training",
]
# Where people come from scikit-learn, every parameter gets a sentence.
FOR_USERS = {"sklstm", "sklstm.datasets", "sklstm.inspection", "sklstm.model_selection", "sklstm.preprocessing"}

HOUSE_STYLE = {
    "SS05": "takes every first word that ends in s, Bounds and Targets, for a verb in the third person",
    "ES01": "what a summary says in full needs no second sentence",
    "PR08": "a symbol keeps its case",
    "RT03": "a type with its shape may say it all",
    "RT04": "a dtype keeps its case",
    "RT05": "a return value in several parts ends with their list",
    "SA01": "most functions stand alone",
    "EX01": "classes and functions have examples where they help; methods, in those of their class",
    "YD01": "context managers that yield None",
}
WITHOUT_SENTENCE = {"PR07": "in mathematics and machinery, a name with its shape may say it all"}


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


def public_names():
    for room in ROOMS:
        module = importlib.import_module(room)
        for name in module.__all__:
            target = getattr(module, name)
            if inspect.isclass(target) or inspect.isfunction(target):
                yield f"{room}.{name}"
            if inspect.isclass(target):
                yield from (f"{room}.{name}.{member}" for member in own_members(target))


NAMES = list(public_names())


def resolve(name):
    for room in sorted(ROOMS, key=len, reverse=True):
        if name.startswith(f"{room}."):
            target = importlib.import_module(room)
            for part in name.removeprefix(f"{room}.").split("."):
                target = getattr(target, part)
            return room, target
    raise AssertionError(name)


def record_fields(target):
    """Fields of a dataclass or a named tuple, which its Attributes describe; None of anything else."""
    if not inspect.isclass(target):
        return None
    if is_dataclass(target):
        return [field.name for field in fields(target)]
    return list(target._fields) if issubclass(target, tuple) and hasattr(target, "_fields") else None


def documented(target, section):
    entries = numpydoc.NumpyDocString(inspect.getdoc(target))[section]
    return [name.strip() for entry in entries for name in entry.name.split(",")]


def test_no_room_is_left_out():
    rooms = {f"sklstm.{module.name}" for module in pkgutil.iter_modules(sklstm.__path__) if module.name[0] != "_"}
    # The estimators are those of sklstm; the networks are tested beside their formulas.
    assert rooms - set(ROOMS) == {"sklstm.estimators", "sklstm.modules"}
    assert len(NAMES) > 200


@pytest.mark.parametrize("name", NAMES)
def test_numpydoc_has_nothing_to_say(name):
    room, target = resolve(name)
    exempt = set(HOUSE_STYLE) | (set() if room in FOR_USERS else set(WITHOUT_SENTENCE))
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
    assert set(HOUSE_STYLE) | set(WITHOUT_SENTENCE) <= found
