"""Find sentences that are hard to read: too long, or with a phrase of the list below.

    python docs/style.py                         # all texts of the repository, as in make lint
    python docs/style.py docs/guide sklstm/noise.py

It reads README.md, CONTRIBUTING.md, the newest section of CHANGELOG.md, the pages in docs/, docstrings and error
messages of the package, and the text of the examples. Code, formulas, targets of links and bibliographies are left out.
Each finding is printed as ``path:line: why: sentence``, then a count by file. The exit code is 1 if there is any.
Of the tools for this, Vale needs a binary beside Python, and proselint and write-good do not read numpydoc.
"""

import argparse
import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
GENERATED = {"_build", "api", "gallery", "_static", "__pycache__"}
TEXTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs", "sklstm", "examples")

LONGEST = 32  # words of a sentence
LONGEST_BY_FOLDER = {"docs/theory": 40}
PAGE_WORDS = 900  # of a page in docs/guide, without code
WITHOUT_PICTURE = {"index"}  # pages in docs/guide that are lists of pages

# What is hard to read, as a regular expression, and what to write. Code is not searched.
PHRASES = {
    # Images for parts of the package.
    r"\b(?:the|this|that|of|our|whole|same) house\b": "package",
    r"\brooms?\b(?! for| of memory| on| in| to)": "module, or subpackage",
    r"\bfloors?\b": "layer",
    r"\bdoors?\b": "way, or function",
    # Inverted or archaic.
    r"\bwhatever\b": "for any ..., for every ..., regardless of ...",
    r"\bwhoever\b": "if you ..., anyone who ...",
    r"\bwhence\b": "so",
    r"\blest\b": "so that ... not",
    r"^nor\b": "... neither, ... not either",
    r"\bas it were\b": "(leave out)",
    r"\bbut for\b": "except for",
    r"\bof one's own\b": "your own",
    r"\bby oneself\b": "by yourself",
    r"\bwhich is to say\b": "that is",
    r"\b(?:is|are|was|were) to be \w+": "should be, must be, will be; or the plain verb",
    r"\b(?:is|are) to (?:hold|withstand|have|watch)\b": "should ...",
    r"\b(?:is|are) not to (?!be\b)\w+": "must not ...",
    r"\b[Tt]rain so what\b": "train what you want to certify in this way",
    r"\bto be had\b": "available",
    r"\bcome into question\b": "are possible",
    r"\bwhat may happen to\b": "input errors of up to ...",
    r"\bseldom\b": "rarely",
    r"\banew\b": "again",
    r"\bby so much\b": "by this much",
    r"\bup to so much\b": "of up to this size",
    r"\bnext to nothing\b": "almost nothing",
    # Images and wordplay.
    r"\bwithst(?:and|ood)\w*": "be robust to",
    r"\bcalmer\b": "less sensitive to noise",
    r"\bwhere the penalty bites\b": "where the penalty is active",
    r"\bpa(?:id|ys?) for\b": "counted in the bound, included in the bound; costs",
    r"\bfor nothing\b": "at no cost",
    r"\bcompanions?\b": "the other sequences of the batch",
    r"\bthe law of\b(?! large)": "the distribution of",
    r"\basked too\b": "used as well",
    r"\bput right\b": "correct",
    r"\bstood? (?:in|behind|beside)\b": "is in, comes after, is next to",
    r"\bstands (?:in|behind|beside)\b": "is in, comes after, is next to",
    # Words of the field.
    r"\bbest constant(?: guess| prediction)?+(?! \(| for)": "mean of the training targets, most frequent label",
    r"\bin (?:the )?place of\b": "instead of",
    r"\berrors? (?:of \S+ )?(?:that )?all numbers have\b": "any input error of up to ...",
    r"\bthe errors? (?:that )?the inputs have\b": "input errors of up to ...",
    r"\bthe road from\b": "forward pass, post-processing",
}

# Stands for code, a formula or an address: counts as one word and has no phrases. The number says which.
CODE = "\ue000{}\ue001"


class Finding(NamedTuple):
    path: str
    line: int
    why: str
    sentence: str

    def __str__(self):
        return ": ".join(filter(None, (f"{self.path}:{self.line}", self.why, self.sentence)))


class Block(NamedTuple):
    """A paragraph, an item of a list, a heading or a cell: the number of its first line, and its lines."""

    line: int
    lines: list[str]


# --- sentences ------------------------------------------------------------------------------------------------------

ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|vs|al|cf|etc|resp|approx|incl|no|nos|fig|figs|eq|eqs|sec|ch|pp|p|vol|ed|eds|dr|st|prop|thm)"
    r"|(?:^|[,(&]\s*|\b[A-Z]\.\s?)[A-Z])\.$",
    re.IGNORECASE,
)
END = re.compile(r"[.!?…]+[\"'”’»)\]*_]*(?=\s|$)")
# "No. 3" is an abbreviation, "no." at the end of a sentence is not.
NUMBERED = re.compile(r"\b(?:no|nos|fig|figs|eq|eqs|sec|ch|p|pp|vol|ed|st|prop|thm)\.$", re.IGNORECASE)


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Offset and text of each sentence of a paragraph."""
    start = 0
    for match in END.finditer(text):
        before, after = text[start : match.end()], text[match.end() :].lstrip()
        if match.group().startswith("…") and after[:1].islower():
            continue
        short = match.group() == "." and after and ABBREVIATION.search(before)
        if short and (not NUMBERED.search(before) or after[:1].isdigit() or after.startswith("(")):
            continue
        yield from _stripped(start, before)
        start = match.end()
    yield from _stripped(start, text[start:])


def _stripped(start, text):
    stripped = text.strip()
    if stripped:
        yield start + text.index(stripped[0]), stripped


def words(sentence: str) -> int:
    return sum(bool(re.search(r"\w", word)) for word in sentence.split())


# --- inline marks ---------------------------------------------------------------------------------------------------

# What is taken as code is kept and shown in findings; of the others a group of the match remains, or nothing.
INLINE = [
    (re.compile(r"<!--.*?-->", re.DOTALL), ""),
    (re.compile(r"\$\$.+?\$\$", re.DOTALL), CODE),
    (re.compile(r"(?:\{[\w:]+\})?(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL), CODE),
    (re.compile(r"(?<![\\\w])\$(?!\s)[^$]+?(?<!\s)\$"), CODE),
    (re.compile(r"!?\[([^\[\]]*)\]\((?:[^()]|\([^()]*\))*\)"), 1),
    (re.compile(r"<https?://[^>]*>|https?://[^\s)>]+"), CODE),
    (re.compile(r"</?[a-zA-Z][^<>]*>"), ""),
    (re.compile(r"\*\*|__(?=\S)|(?<=\S)__|(?<!\w)[*_](?=\w)|(?<=\w)[*_](?!\w)"), ""),
]
INLINE_RST = [
    (re.compile(r":[a-z]+(?::[a-z]+)?:`[^`]+`"), CODE),
    (re.compile(r"``.+?``", re.DOTALL), CODE),
    (re.compile(r"`([^`<]+?)\s*<[^`>]*>`__?"), 1),
    (re.compile(r"[ \t]*\[\w+\]_"), ""),
    *INLINE,
]


def plain(text: str, rules) -> tuple[str, list[str]]:
    """Text without marks, in which code is a number; and the pieces of code. The lines stay where they are."""
    pieces: list[str] = []

    def instead(match, kept):
        if kept == CODE:
            pieces.append(match.group())
            return CODE.format(len(pieces) - 1) + "\n" * match.group().count("\n")
        return match.group(kept) if kept else "\n" * match.group().count("\n")

    for pattern, kept in rules:
        text = pattern.sub(partial(instead, kept=kept), text)
    return text, pieces


def with_code(sentence: str, pieces: list[str]) -> str:
    while re.search("\ue000", sentence):
        sentence = re.sub("\ue000(\\d+)\ue001", lambda match: pieces[int(match[1])], sentence)
    return " ".join(sentence.split())


# --- Markdown -------------------------------------------------------------------------------------------------------

PROSE_DIRECTIVE = re.compile(r"\{(?:note|warning|tip|important|admonition|seealso|dropdown|hint|caution)\}")
FENCE = re.compile(r"^\s*(`{3,}|~{3,}|:{3,})\s*(.*)$")
OPTION = re.compile(r"^\s*:[\w-]+:(?:\s|$)|^\(\S+\)=$")
ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")


def without_code(text: str) -> list[str]:
    """The lines of a Markdown page, empty where there is code, a formula, a comment or an option of a directive."""
    for pattern in (r"<!--.*?-->", r"^\s*\$\$.*?\$\$"):
        text = re.sub(pattern, lambda found: "\n" * found.group().count("\n"), text, flags=re.DOTALL | re.MULTILINE)
    lines, fences, in_list, in_code, blank = [], [], False, False, True
    for line in text.splitlines():
        fence, inside = FENCE.match(line), fences and not fences[-1][1]
        if fence and fences and not fence[2] and fence[1].startswith(fences[-1][0]):
            fences.pop()
        elif fence and not inside:
            # A colon fence and a note hold text.
            fences.append((fence[1], fence[1].startswith(":") or bool(PROSE_DIRECTIVE.match(fence[2]))))
        # Four spaces after an empty line are code, but not in a list.
        in_list = bool(ITEM.match(line)) or (in_list and (not blank or not line.strip() or line[:1].isspace()))
        in_code = line.startswith("    ") and not in_list and (blank or in_code)
        blank = not line.strip()
        lines.append("" if fence or inside or in_code or OPTION.match(line) else line)
    return lines


def markdown(text: str) -> Iterator[Block]:
    block = Block(0, [])
    for number, line in enumerate(without_code(text), 1):
        quoted = re.sub(r"^\s*>\s?", "", line)
        row = quoted.lstrip().startswith("|")
        heading = re.match(r"^\s*#{1,6}\s", quoted)
        if row or heading or ITEM.match(quoted) or not quoted.strip():
            if block.lines:
                yield block
            block = Block(number, [])
        if row:
            cells = re.split(r"(?<!\\)\|", quoted.strip().strip("|"))
            yield from (Block(number, [cell.strip()]) for cell in cells if re.search(r"\w", cell))
        elif heading:
            yield Block(number, [quoted.lstrip(" #")])
        elif quoted.strip():
            if not block.lines:
                block = Block(number, [])
            block.lines.append(ITEM.sub("", quoted).strip() if ITEM.match(quoted) else quoted.strip())
    if block.lines:
        yield block


def newest_section(text: str) -> str:
    """A changelog to the end of its first version."""
    heads = [match.start() for match in re.finditer(r"^## ", text, re.MULTILINE)]
    return text[: heads[1]] if len(heads) > 1 else text


# --- docstrings and comments ----------------------------------------------------------------------------------------

# Of numpydoc: the sections whose unindented lines are names and types, and all sections.
RULE = re.compile(r"([=\-~^])\1{2,}")
NAMES = {"Parameters", "Other Parameters", "Returns", "Yields", "Receives", "Raises", "Warns", "Attributes", "Methods"}
NUMPYDOC = NAMES | {"See Also", "Notes", "Examples", "References", "Warnings"}
PROSE_RST = {"note", "warning", "tip", "versionadded", "versionchanged", "deprecated", "seealso", "rubric", "important"}


def restructured(text: str, first: int = 1) -> Iterator[Block]:
    """The paragraphs of a docstring; ``first`` is the number of the line on which it begins."""
    lines = text.expandtabs().splitlines()
    margin = min((_indent(line) for line in lines[1:] if line.strip()), default=0)
    lines = [line.strip() if not i else line[margin:] for i, line in enumerate(lines)]
    section, block, indent = "", Block(0, []), 0
    skipped, in_doctest = None, False  # lines deeper than so many spaces; or up to the next empty line
    for i, line in enumerate(lines):
        below = lines[i + 1].strip() if i + 1 < len(lines) else ""
        blank, here, underlined = not line.strip(), _indent(line), bool(line.strip() and RULE.fullmatch(below))
        named = here == 0 and (section in NAMES or section == "See Also")  # a parameter and its type
        special = re.match(r"\s*(>>>|\.\. )", line) or ITEM.match(line)
        rule = RULE.fullmatch(line.strip())
        if block.lines and (blank or underlined or rule or named or special or here < indent):
            yield block
            skipped = indent if blank and block.lines[-1].endswith("::") else skipped
            block = Block(0, [])
        if blank:
            in_doctest = False
            continue
        if in_doctest or rule or (skipped is not None and here > skipped):
            continue
        skipped = None
        text = line.strip()
        if underlined:
            section = text
            if section in NUMPYDOC:
                continue
        elif text.startswith(">>>"):
            in_doctest = True
            continue
        elif directive := re.match(r"\.\.\s+(?:([\w-]+)::|\[|_)\s*(.*)", text):
            text = directive[2] if directive[1] in PROSE_RST else ""
            skipped = None if directive[1] in PROSE_RST else here
        elif named:
            text = text.partition(" : ")[2] if section == "See Also" else ""
        if text and section != "References":
            if not block.lines:
                block, indent = Block(first + i, []), here
            block.lines.append(ITEM.sub("", text))
    if block.lines:
        yield block


def _indent(line):
    return len(line) - len(line.lstrip())


def docstrings(tree: ast.AST) -> Iterator[Block]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=False)
            if text:
                yield from restructured(text, node.body[0].lineno)


def messages(tree: ast.AST) -> Iterator[Block]:
    """The texts of errors and warnings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and ast.unparse(node.func).endswith("warn")):
            inside = {id(part) for text in ast.walk(node) if isinstance(text, ast.JoinedStr) for part in text.values}
            for text in ast.walk(node):
                if isinstance(text, ast.JoinedStr):
                    parts = [part.value if isinstance(part, ast.Constant) else "`…`" for part in text.values]
                    yield Block(text.lineno, ["".join(map(str, parts))])
                elif isinstance(text, ast.Constant) and id(text) not in inside and " " in str(text.value):
                    yield Block(text.lineno, [str(text.value)])


def comments(text: str) -> Iterator[Block]:
    """The text of an example: what stands in comments below ``# %%``."""
    found, start = [], 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line.startswith("# %%"):
            start, found = number + 1, [""]
        elif start and line.startswith("#"):
            found.append(line[2:])
        elif start:
            yield from restructured("\n".join(found), start - 1)
            start = 0


# --- findings -------------------------------------------------------------------------------------------------------


def hard(blocks, rules, longest) -> Iterator[tuple[int, str, str]]:
    """Line, reasons and text of sentences that are too long or have a listed phrase."""
    for block in blocks:
        text, pieces = plain("\n".join(block.lines), rules)
        for start, sentence in sentences(text):
            one_line = " ".join(sentence.split())
            found = [(re.search(phrase, one_line, re.IGNORECASE), instead) for phrase, instead in PHRASES.items()]
            why = [f'"{match.group()}" -> {instead}' for match, instead in found if match]
            if words(one_line) > longest:
                why.insert(0, f"{words(one_line)} words")
            if why:
                yield block.line + text.count("\n", 0, start), "; ".join(why), with_code(one_line, pieces)


def page(name: str, text: str) -> Iterator[tuple[int, str, str]]:
    """What is wrong with a page of the guide as a whole."""
    count = sum(words(plain(line, INLINE)[0]) for line in without_code(text))
    if count > PAGE_WORDS:
        yield 1, f"{count} words outside code, of at most {PAGE_WORDS}", ""
    pictures = re.findall(r"!\[[^\]]*\]\(([^)\s]*)\)", "\n".join(without_code(text)))
    pictures += re.findall(r"^```\{(?:image|figure)\}\s+(\S+)", text, re.MULTILINE)
    if name not in WITHOUT_PICTURE and pictures != [f"{name}.png"]:
        yield 1, f"has the pictures {pictures}, not {name}.png alone", ""


def findings(path: Path, root: Path = ROOT) -> list[Finding]:
    """What is hard to read in one file."""
    short, text = path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")
    longest = next((most for folder, most in LONGEST_BY_FOLDER.items() if short.startswith(f"{folder}/")), LONGEST)
    found = []
    if path.suffix == ".md":
        found += hard(markdown(newest_section(text) if path.name == "CHANGELOG.md" else text), INLINE, longest)
        if short.startswith("docs/guide/"):
            found += page(path.stem, text)
    elif path.suffix == ".rst":
        found += hard(restructured(text), INLINE_RST, longest)
    else:
        tree = ast.parse(text)
        found += hard(docstrings(tree), INLINE_RST, longest)
        found += hard(messages(tree), INLINE_RST, longest)
        if short.startswith("examples/"):
            found += hard(comments(text), INLINE_RST, longest)
    return sorted({Finding(short, *each) for each in found}, key=lambda finding: finding[1:])


def files(paths) -> list[Path]:
    """All texts below these paths."""
    found = []
    for path in map(Path, paths):
        path = path.resolve()
        inside = [path] if path.is_file() else [*path.rglob("*.md"), *path.rglob("*.py"), *path.rglob("*.rst")]
        for each in sorted(inside):
            parts = each.relative_to(ROOT).parts
            if not GENERATED & set(parts) and (parts[0] != "docs" or each.suffix == ".md" or path.is_file()):
                found.append(each)
    return found


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", metavar="path", help="files and folders; all texts without it")
    paths = parser.parse_args(arguments).paths or [ROOT / name for name in TEXTS]
    found = [finding for path in files(paths) for finding in findings(path)]
    for finding in found:
        print(finding)
    for path, count in sorted(Counter(finding.path for finding in found).items()):
        print(f"{count:5} {path}")
    print(f"{len(found)} findings")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
