"""Errors a user can act on: one line that says what is wrong and what to do."""

from __future__ import annotations

import difflib
import errno
import io
import sys
from collections.abc import Callable, Iterable


def print_anywhere() -> None:
    """Let a program print to a stream of any encoding: what ASCII, say, has no letter for comes out as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


# What the system says where a file cannot grow: the disk, a user's share of it, or the size of one file.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def in_one_line(message: object) -> str:
    """The text of an error or of anything else, its lines and runs of blanks joined."""
    return " ".join(str(message).split())


def place_refused(error: OSError) -> str | None:
    """One line for a full disk or a place that cannot be read, made or written; None for any other error of the system."""
    if error.errno not in DISK_FULL and error.filename is None:
        return None
    return f"{error.strerror}: {error.filename or 'the disk'}: free or change that place and give the same command."


class MtlreproError(Exception):
    """Base of every error whose message is meant to be read by the user as it stands."""


def exit_code(command: Callable[[], int], prefix: str = "") -> int:
    """What `command` returns; where it raises what a user can act on, 1, after one line on stderr that begins with `prefix`."""
    try:
        return command()
    except MtlreproError as error:
        line: str | None = str(error)
    except OSError as error:
        if (line := place_refused(error)) is None:
            raise
    print(f"{prefix}{line}", file=sys.stderr)
    return 1


class UnknownName(MtlreproError):
    """A name that does not exist, with the nearest one that does."""

    def __init__(self, kind: str, name: str, known: Iterable[str], advice: str = "") -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f", did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}." if len(known) <= 12 else "."
        super().__init__(f"unknown {kind} {name!r}{hint}{' ' + advice if advice else ''}")


class BadValue(MtlreproError):
    """A parameter or manifest value of the wrong type or out of range."""


class DataMissing(MtlreproError):
    """A data set that is not here, and how to get it."""


class DataCorrupt(MtlreproError):
    """A file or array whose checksum is not the expected one."""


class Unfinished(MtlreproError):
    """Runs that a campaign leaves to its other processes or to its next hours; the finished ones are kept."""
