"""The long description: README.md with addresses in place of its paths, as a registry shows no files beside it.

Everything else is in pyproject.toml. README.md keeps paths, which can be read and checked without a network.
"""

import re
import tomllib
from pathlib import Path

from setuptools import setup

FOLDER = Path(__file__).parent
LINK = re.compile(r"(!?)(\[[^\]]*\])\((?!https?://)([^)\s]+)\)")


def long_description():
    with open(FOLDER / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    # Of the release: what is linked to says what this version does.
    source, tag = project["urls"]["Source"], f"v{project['version']}"
    pictures = source.replace("https://github.com", "https://raw.githubusercontent.com")

    def absolute(link):
        base = f"{pictures}/{tag}" if link[1] else f"{source}/blob/{tag}"
        return f"{link[1]}{link[2]}({base}/{link[3]})"

    return LINK.sub(absolute, (FOLDER / "README.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    setup(long_description=long_description(), long_description_content_type="text/markdown")
