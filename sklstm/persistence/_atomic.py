"""Write a file completely or not at all."""

import contextlib
import os
import re
import secrets
import stat
import time
from typing import Any

_LEFTOVER = re.compile(r"\.sklstm-[0-9a-f]{16}\.tmp")
_LEFTOVER_AGE = 600.0  # seconds; to write a file takes a small part of them


def write_atomically(path: Any, content: bytes) -> None:
    """Write a file under a temporary name, then rename it; an existing file is replaced at that moment.

    Parameters
    ----------
    path : str or PathLike
        Path of the file. A link is followed: its target is written.
    content : bytes

    Raises
    ------
    TypeError
        If the path is neither a str nor a PathLike of one.
    FileNotFoundError, NotADirectoryError
        If the folder does not exist.
    FileExistsError
        If the path exists and is no regular file: a folder, a device or a pipe.
    OSError
        As raised by writing; nothing is left behind then.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklstm.persistence._atomic import write_atomically
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "file"
    ...     write_atomically(path, b"first")
    ...     write_atomically(path, b"second")
    ...     path.read_bytes(), len(list(Path(folder).iterdir()))
    (b'second', 1)
    """
    target = os.path.realpath(as_path(path))
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        kind = NotADirectoryError if os.path.exists(folder) else FileNotFoundError
        raise kind(f"{target}: there is no folder {folder}. Create it first.")
    mode = None
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(target).st_mode
        if not stat.S_ISREG(mode):
            raise FileExistsError(f"{target} is there and no regular file, so nothing is written. Choose another path.")
    # In the same folder: a file cannot be renamed from one disk to another.
    temporary = os.path.join(folder, f".sklstm-{secrets.token_hex(8)}.tmp")
    try:
        # 0o666 minus the process's mask, as with `open`; `tempfile` would make a file that only its owner can read.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        with os.fdopen(descriptor, "wb") as file:
            if mode is not None:
                os.chmod(temporary, stat.S_IMODE(mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    # The new name must also survive a loss of power, where the system lets a folder be opened.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(folder: Any) -> None:
    """Remove temporary files of writers that were killed, once they are too old to be in use.

    Parameters
    ----------
    folder : str or PathLike

    Examples
    --------
    A half-written file of a writer killed an hour ago, and one that is being written:

    >>> import os
    >>> import tempfile
    >>> import time
    >>> from pathlib import Path
    >>> from sklstm.persistence._atomic import remove_leftovers
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     old, new = (Path(folder) / f".sklstm-{digit * 16}.tmp" for digit in "01")
    ...     old.touch()
    ...     new.touch()
    ...     os.utime(old, (time.time() - 3600, time.time() - 3600))
    ...     remove_leftovers(folder)
    ...     old.exists(), new.exists()
    (False, True)
    """
    for entry in os.scandir(folder):
        with contextlib.suppress(OSError):  # another process may have removed it
            if _LEFTOVER.fullmatch(entry.name) and time.time() - entry.stat().st_mtime > _LEFTOVER_AGE:
                os.unlink(entry.path)


def as_path(path: Any) -> str:
    """The path as a str; ``TypeError`` for anything else."""
    try:
        plain = os.fspath(path)
    except TypeError:
        plain = None
    if not isinstance(plain, str):
        raise TypeError(f"path must be a str or a PathLike, got {path!r}.")
    return plain
