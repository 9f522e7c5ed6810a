"""Write the badges of README.md from what the package says of itself: ``python docs/badges.py``.

They are files in the repository, not pictures of a service, and a test compares them with what this writes.
"""

import re
import tomllib
from pathlib import Path

import anybadge
import sklearn
from sklearn.base import ClassifierMixin, RegressorMixin, is_classifier
from sklearn.utils.estimator_checks import estimator_checks_generator

import sklstm

DOCS = Path(__file__).parent
FOLDER = DOCS / "_static" / "badges"
BLUE = "#0072B2"


def badges():
    """The text of every badge by the name of its file."""
    with open(DOCS.parent / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    every = [getattr(sklstm, name) for name in sklstm.__all__]
    learners = (kind for kind in every if isinstance(kind, type) and issubclass(kind, ClassifierMixin | RegressorMixin))
    kinds = sorted(learners, key=lambda kind: is_classifier(kind()))
    checks = " + ".join(str(len(list(estimator_checks_generator(kind(), mark=None)))) for kind in kinds)
    release = ".".join(sklearn.__version__.split(".")[:2])
    return {
        "version": ("version", f"{project['version']}, alpha"),
        "python": ("Python", project["requires-python"].replace(">=", "≥ ")),
        "licence": ("licence", project["license"]),
        # tests/estimators/test_sklearn_checks.py runs them; one for each estimator is expected to fail, and says why.
        "checks": (f"scikit-learn {release} checks", f"{checks} run"),
    }


def drawn(name, label, value):
    """With an identifier that does not depend on how many badges were drawn before."""
    text = anybadge.Badge(label, value, default_color=BLUE).badge_svg_text
    return re.sub(r"anybadge_\d+", f"sklstm_{name}", text)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, texts in badges().items():
        (FOLDER / f"{name}.svg").write_text(drawn(name, *texts), encoding="utf-8")
