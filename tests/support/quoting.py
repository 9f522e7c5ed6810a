"""Sentences that quote measured numbers: how the numbers are written, found, compared and put right."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

_FIELD = re.compile(r"\{(\w+)\}")

# Digits that look measured: decimals, thousands, and whole numbers of something that is measured.
UNITS = "%|per cent|µs|ms|s|seconds?|minutes?|hours?|kB|KiB|MB|GB|GiB|times|fold|bits|windows|reviews|images|networks"
NUMBER = re.compile(rf"\d[\d,]*\.\d+(?:e[+-]?\d+)?|\d{{1,3}}(?:,\d{{3}})+|\b\d+(?=\s*(?:{UNITS})(?!\w))")
WORDS = re.compile(rf"\b(?:two|three|five|ten|hundreds?|thousands?)(?=\s+(?:{UNITS})(?!\w))")
RANGE = re.compile(r"\d[\d.,]*(?=\s+(?:to|and)\s+\d)")


def significant(value, digits=1):
    """Rounded to so many digits, with commas between thousands."""
    return f"{float(f'{value:.{digits}g}'):,.0f}"


def at_most(value, places):
    """Rounded up: a bound must not come out smaller than it is."""
    return f"{math.ceil(round(value * 10**places, 6)) / 10**places:.{places}f}"


def positive(value, sentence):
    if value <= 0:
        raise ValueError(f"not true any more: {sentence} (it is {value:.1f})")
    return value


@dataclass(frozen=True)
class Quote:
    """A sentence of a page with its fields in braces, and how many times it stands there."""

    page: str
    sentence: str
    fields: Callable[[], dict[str, str]]
    times: int = 1


def pattern(sentence):
    """A regular expression for the sentence: a group for each field, any white space where it has some."""
    parts = _FIELD.split(sentence)
    if not parts[0].strip() or not parts[-1].strip():
        raise ValueError(f"text is needed before the first field and after the last: {sentence!r}")
    texts = [r"\s+".join(map(re.escape, re.split(r"\s+", text))) for text in parts[::2]]
    names = [rf"(?P<{name}>\S+?)" for name in parts[1::2]]
    return re.compile("".join(part for pair in zip(texts, [*names, ""], strict=True) for part in pair))


def find(quote, text):
    """The places of the quote in the text.

    Raises
    ------
    ValueError
        If there are fewer or more than there should be.
    """
    found = list(pattern(quote.sentence).finditer(text))
    if len(found) != quote.times:
        raise ValueError(f"{quote.page}: {len(found)} places instead of {quote.times} that read {quote.sentence!r}")
    return found


def corrected(quote, text):
    """The text with the quote's fields as they should be; everything else stays."""
    fields = quote.fields()
    for place in reversed(find(quote, text)):
        for name in sorted(fields, key=place.start, reverse=True):
            text = text[: place.start(name)] + fields[name] + text[place.end(name) :]
    return text


def differences(quotes, root):
    """Lines on fields that do not say what is recorded."""
    for quote in quotes:
        fields = quote.fields()
        for place in find(quote, (root / quote.page).read_text(encoding="utf-8")):
            for name, value in fields.items():
                if place[name] != value:
                    yield f"{quote.page}: {place[name]} should be {value} ({name} in {quote.sentence!r})"


def blanked(text):
    """The text with code, addresses of links and generated blocks blanked out, everything else in its place."""
    for part in (
        r"<!-- (\w+) -->.*?<!-- \1 -->",  # a table that a script writes, and its own test compares
        r"```.*?```",
        r"(?m)^    [^\n]*$",
        r"`[^`\n]*`",
        r"\]\([^)]*\)",
    ):
        text = re.sub(part, lambda found: re.sub(r"\S", " ", found[0]), text, flags=re.DOTALL)
    return text


def without_source(text, quotes, exceptions):
    """Numbers, with the words around them, that no quote has as a field and no exception allows."""
    allowed = []
    for quote in quotes:
        for place in pattern(quote.sentence).finditer(text):
            allowed += [place.span(name) for name in place.groupdict()]
    for exception in exceptions:
        start = text.find(exception)
        allowed += [(start, start + len(exception))] * (start >= 0)
    prose = blanked(text)
    for found in (place for kind in (NUMBER, WORDS, RANGE) for place in kind.finditer(prose)):
        number = found[0].rstrip(".,")
        if not any(start <= found.start() and found.start() + len(number) <= end for start, end in allowed):
            yield " ".join(text[max(0, found.start() - 40) : found.end() + 20].split())
