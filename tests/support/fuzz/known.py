"""Defects that the fuzzer has found and that are not yet mended; an example that meets one is passed over.

Each entry is a regular expression for the text of the finding. The list is empty, or a test fails.
"""

KNOWN: list[str] = []
