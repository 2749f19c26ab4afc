"""Downloading a data set into the cache: https only, resumed, locked, checked, and unpacked without trusting the archive."""

from __future__ import annotations

import errno
import hashlib
import lzma
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urlsplit

import pooch
import requests  # type: ignore[import-untyped,unused-ignore]
from filelock import FileLock

from mtlrepro import paths
from mtlrepro.data.places import corrupt
from mtlrepro.data.schema import Manifest, Member, Source, manifests
from mtlrepro.errors import DataCorrupt, DataMissing, MtlreproError, in_one_line
from mtlrepro.files import sha256_of

SCHEMES = ("https",)
ATTEMPTS_AFTER_THE_FIRST = 3
_TIMEOUT = (15, 60)  # seconds: to connect, and between two chunks
_CHUNK = 2**16
_MOST_MEMBERS = 1_000_000
_UNSTATED_LIMIT = 64 * 2**30  # bytes, where the manifest does not state a size
# What reading a damaged archive raises.
_DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, NotImplementedError),
)


def fetch_into(manifest: Manifest, folder: Path) -> None:
    """Download, check and unpack every source of `manifest` into `folder`; files already there are kept.

    Two processes may call this at once: the second waits and then finds the files. A broken download goes on where it
    stopped. Raises DataCorrupt (nothing of a source with a wrong checksum reaches `folder`), DataMissing where the
    server cannot be reached.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock"):
        for source in manifest.sources:
            wanted = _missing(source, folder)
            if not wanted:
                continue
            with _downloaded(manifest.name, source) as file:
                if source.members:
                    unpack(file, source.members, folder)
                else:
                    target = folder / source.file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    file.replace(target)


def _missing(source: Source, folder: Path) -> list[str]:
    """Files of a source that are not in `folder`. Raises DataCorrupt for one that is there with other bytes."""
    expected = {m.target: m.sha256 for m in source.members} or {source.file: source.sha256}
    for name, sha256 in expected.items():
        file = folder / name
        if sha256 is not None and file.is_file() and (found := sha256_of(file)) != sha256:
            raise corrupt(file, sha256, found)
    return [name for name in expected if not (folder / name).is_file()]


@contextmanager
def _downloaded(name: str, source: Source) -> Iterator[Path]:
    """The source's file, checked. It is removed afterwards unless another data set needs the same archive."""
    folder = paths.cache() / "downloads" / hashlib.sha256(source.url.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / PurePosixPath(source.file).name
    with FileLock(folder / ".lock"):
        if file.is_file() and source.sha256 is not None and (found := sha256_of(file)) != source.sha256:
            raise corrupt(file, source.sha256, found)
        registry = {file.name: f"sha256:{source.sha256}" if source.sha256 else None}
        store = pooch.Pooch(
            path=folder, base_url="", registry=registry, urls={file.name: source.url}, retry_if_failed=ATTEMPTS_AFTER_THE_FIRST
        )
        try:
            store.fetch(file.name, downloader=resuming(source, file.with_name(f"{file.name}.part")))
        except requests.RequestException as error:
            raise DataMissing(
                f"{name}: could not download {source.url} ({type(error).__name__}); the same command goes on where it "
                "stopped, or point MTLREPRO_MIRROR at a folder that has the data."
            ) from error
        try:
            yield file
        except DataCorrupt:
            # An archive whose own checksum is not known turned out bad: the next try must not meet it again.
            file.unlink(missing_ok=True)
            raise
        if sum(s.url == source.url for m in manifests().values() for s in m.sources) <= 1:
            file.unlink(missing_ok=True)


def _refuse_scheme(url: str) -> None:
    if urlsplit(url).scheme not in SCHEMES:
        raise MtlreproError(f"refused to download from {url}: data come over https only.")


def resuming(source: Source, part: Path) -> Callable[[str, str, object], None]:
    """A pooch downloader that keeps what it has in `part` and asks the server for the rest only.

    A server that does not support ranges is read from the start. The sha256 is compared here, before pooch sees the
    file; a file put together from two downloads that does not match is fetched once more from the start.
    """

    def download(url: str, output_file: str, pooch_object: object) -> None:
        _refuse_scheme(url)
        have = part.stat().st_size if part.is_file() else 0
        limit = source.size or _UNSTATED_LIMIT
        if not (source.size and have == source.size):
            headers = {"Accept-Encoding": "identity", "User-Agent": "mtlrepro"}
            if have:
                headers["Range"] = f"bytes={have}-"
            with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
                for step in [*answer.history, answer]:
                    _refuse_scheme(step.url)
                if have and answer.status_code == 416:
                    part.unlink()
                    raise requests.RequestException("the server has fewer bytes than were downloaded before")
                if 400 <= answer.status_code < 500 and answer.status_code not in (408, 429):
                    raise DataMissing(f"{url} answers {answer.status_code} {answer.reason}: the file may have moved.")
                answer.raise_for_status()
                goes_on = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
                if have and not goes_on:
                    have = 0
                with part.open("ab" if goes_on else "wb") as file:
                    size = have
                    for chunk in answer.iter_content(_CHUNK):
                        size += len(chunk)
                        if size > limit:
                            break
                        file.write(chunk)
            if size > limit:
                part.unlink()
                raise DataCorrupt(f"{url} is longer than the {limit} bytes the manifest states.")
            if source.size and size < source.size and "Content-Length" not in answer.headers:
                # With a stated length requests itself notices an early end.
                raise requests.ConnectionError("the connection ended early")
        if source.sha256 is not None and (found := sha256_of(part)) != source.sha256:
            part.unlink()
            if have:
                raise requests.RequestException("the resumed download does not match, starting again")
            raise DataCorrupt(f"{url} is not the expected data: expected sha256 {source.sha256}, found {found}.")
        part.replace(output_file)

    return download


# --- archives ---------------------------------------------------------------------------------------------------------


def _refuse_name(archive: Path, name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or (len(name) > 1 and name[1] == ":"):
        raise DataCorrupt(f"{archive} refused: its member {name!r} points outside the folder it is unpacked into.")


def _copy(archive: Path, member: Member, stream: IO[bytes], target: Path) -> None:
    """Write one member, at most `max_size` bytes, and compare its sha256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as file:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if size > member.max_size:
                raise DataCorrupt(f"{archive} refused: {member.path} is larger than the {member.max_size} bytes stated.")
            digest.update(chunk)
            file.write(chunk)
    if member.sha256 is not None and digest.hexdigest() != member.sha256:
        raise corrupt(f"{archive}: {member.path}", member.sha256, digest.hexdigest())


def unpack(archive: Path, members: Sequence[Member], folder: Path) -> None:
    """Unpack `members` of a zip or tar file into `folder`, all or nothing.

    The whole archive is refused if any member, wanted or not, has an absolute path or one with '..', is a link or a
    device, or if the sizes it states go far beyond what the manifest allows. Raises DataCorrupt.
    """
    wanted = {m.path: m for m in members}
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        staging = Path(name)
        try:
            done = (_unzip if archive.suffix == ".zip" else _untar)(archive, wanted, staging)
        except _DAMAGE as error:
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                raise  # the disk is full or not writable: not the archive's fault, as a place before its start is
            raise DataCorrupt(f"{archive} refused: {in_one_line(error)}.") from error
        if absent := sorted(wanted.keys() - done):
            raise DataCorrupt(f"{archive} refused: it has no member {absent[0]!r}.")
        for member in members:
            target = folder / member.target
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(staging / member.target, target)


def _unzip(archive: Path, wanted: dict[str, Member], staging: Path) -> set[str]:
    done: set[str] = set()
    with zipfile.ZipFile(archive) as file:
        infos = file.infolist()
        if len(infos) > _MOST_MEMBERS:
            raise DataCorrupt(f"{archive} refused: {len(infos)} members.")
        for info in infos:
            _refuse_name(archive, info.filename)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise DataCorrupt(f"{archive} refused: its member {info.filename!r} is a link or a device.")
        for info in infos:
            if info.filename in wanted and info.filename not in done:
                with file.open(info) as stream:
                    _copy(archive, wanted[info.filename], stream, staging / wanted[info.filename].target)
                done.add(info.filename)
    return done


def _untar(archive: Path, wanted: dict[str, Member], staging: Path) -> set[str]:
    done: set[str] = set()
    # Reading past a member unpacks it too, so what the members say of their size is bounded as a whole.
    limit = 2 * sum(m.max_size for m in wanted.values()) + 64 * 2**20
    total = 0
    with tarfile.open(archive, "r:*") as file:
        for count, info in enumerate(file):
            _refuse_name(archive, info.name)
            if not (info.isfile() or info.isdir()):
                raise DataCorrupt(f"{archive} refused: its member {info.name!r} is a link or a device.")
            tarfile.data_filter(info, str(staging))
            total += info.size
            if total > limit or count > _MOST_MEMBERS:
                raise DataCorrupt(f"{archive} refused: it unpacks to more than {limit} bytes.")
            name = info.name.removeprefix("./")
            if name in wanted and name not in done and info.isfile():
                stream = file.extractfile(info)
                assert stream is not None
                with stream:
                    _copy(archive, wanted[name], stream, staging / wanted[name].target)
                done.add(name)
    return done
