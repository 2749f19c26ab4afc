"""Writing files so that a reader never sees half of one, and unpacking them without trust."""

from __future__ import annotations

import codecs
import contextlib
import errno
import gzip
import hashlib
import io
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from mtlrepro.errors import BadValue, DataCorrupt

# The safe loader, in C where PyYAML was built with it: ten times faster.
SAFE_YAML: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target`; on success it replaces `target` in one step, on failure it is removed.

    Raises OSError where the disk is full, also where torch writes the file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.chmod(0o644)
        part.replace(target)
    except RuntimeError as error:
        if "inline_container" not in str(error):  # the file in which torch's writer gives up
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from None
    finally:
        part.unlink(missing_ok=True)


def damaged_zip(archive: Path) -> bool:
    """Whether a zip archive's bytes are not those that were written, by its checksums. Raises OSError where it cannot be read."""
    try:
        with zipfile.ZipFile(archive) as content:
            return content.testzip() is not None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error):
        return True


def write_text(target: Path, text: str) -> None:
    """Write `text` as UTF-8 to `target`, atomically."""
    with replacing(target) as part:
        part.write_text(text, encoding="utf-8")


def read_yaml(file: Path) -> Any:
    """The content of a YAML file, plain data only. Raises BadValue, naming file and line, where it is none or repeats a field."""
    shown = f"{file.parent.name}/{file.name}"
    try:
        loader = SAFE_YAML(file.read_text(encoding="utf-8"))
        try:
            node = loader.get_single_node()
            refuse_repeated_keys(node, shown, set())
            return None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise no_yaml(shown, error) from None


def refuse_repeated_keys(node: yaml.Node | None, shown: str, looked_at: set[int]) -> None:
    """Raise BadValue for a field that stands twice in a mapping, of which YAML takes the last in silence. shown: the file's name.

    Each node once, however many aliases name it: a few lines of aliases of aliases stand for more than a machine can hold.
    """
    if id(node) in looked_at:
        return
    looked_at.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                raise BadValue(f"{shown}:{key.start_mark.line + 1}: {name}: this field appears twice")
            seen.add(name)
            refuse_repeated_keys(value, shown, looked_at)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            refuse_repeated_keys(value, shown, looked_at)


def no_yaml(shown: str, error: Exception) -> BadValue:
    """The error for a text that is no YAML. shown: the name of its file; error: what reading it raised."""
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or f"not valid YAML ({' '.join(str(error).split())[:100]})"
    return BadValue(f"{shown}:{mark.line + 1 if mark else 1}: {what}")


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def gunzip(content: bytes, where: Path | str, largest: int) -> bytes:
    """The bytes that gzip packed, at most `largest` of them; `where` names them in an error.

    Raises DataCorrupt for damaged content and for content that unpacks to more.
    """
    try:
        with gzip.open(io.BytesIO(content)) as stream:
            plain = stream.read(largest + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataCorrupt(f"{where} cannot be unpacked: {error}.") from None
    if len(plain) > largest:
        raise DataCorrupt(f"{where} unpacks to more than {largest} bytes.")
    return plain


def decoded(content: bytes, where: Path | str, encoding: str = "utf-8") -> str:
    """The text of a file, without a byte order mark; `where` names the file in an error.

    Raises DataCorrupt, with the line, for a byte that is none of the encoding and for a zero byte, as UTF-16 has them.
    """
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode(encoding)
        wrong = content.find(b"\0")
    except UnicodeDecodeError as error:
        wrong = error.start
    if wrong >= 0:
        line = content[:wrong].count(b"\n") + 1
        raise DataCorrupt(f"{where}, line {line}: a byte that is none of a text in {encoding.upper()}: save the file as that.")
    return text
