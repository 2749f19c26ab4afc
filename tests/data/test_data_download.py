"""Downloads: resumed, locked, https only, checked before use; archives cannot write where they should not."""

from __future__ import annotations

import gzip
import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_sets import sha

from mtlrepro.data import download, manifest, places, schema
from mtlrepro.data.schema import Manifest, Member
from mtlrepro.errors import DataCorrupt, DataMissing, MtlreproError, place_refused

CONTENT = bytes(range(256)) * 2000  # 512,000 bytes


def _from(server: Any, entry: Manifest) -> Manifest:
    """The manifest with its https addresses pointed at the test's server."""
    sources = tuple(s.model_copy(update={"url": f"{server.url}/{s.file}"}) for s in entry.sources)
    return entry.model_copy(update={"sources": sources})


@pytest.fixture
def one(write_manifest: Callable[..., Path]) -> Manifest:
    """A set of one file, big.bin."""
    source = {"url": "https://example.org/big.bin", "file": "big.bin", "sha256": sha(CONTENT), "size": len(CONTENT)}
    write_manifest("one", sources=[source], layouts={"official": {"folders": ["one"]}})
    return schema.get("one")


def _files(folder: Path) -> list[str]:
    """Files that a user would take for data: no locks, no parts."""
    return sorted(
        f.name for f in folder.rglob("*") if f.is_file() and not f.name.endswith(".part") and not f.name.endswith(".lock")
    )


def test_a_download_is_checked_placed_and_not_repeated(server: Any, one: Manifest) -> None:
    server.files["big.bin"] = CONTENT
    folder = places.cached("one")
    for _ in range(2):
        download.fetch_into(_from(server, one), folder)
    assert (folder / "big.bin").read_bytes() == CONTENT
    assert server.asked == [("big.bin", None)]
    assert manifest.verify("one").hashed == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on_where_it_stopped(server: Any, one: Manifest, ranges: bool) -> None:
    """The second request asks for the rest only; a server without ranges is read from the start."""
    server.files["big.bin"], server.break_after, server.ranges = CONTENT, 200_000, ranges
    download.fetch_into(_from(server, one), places.cached("one"))
    assert (places.cached("one") / "big.bin").read_bytes() == CONTENT
    (_, first), (_, second) = server.asked
    assert first is None
    assert second is not None
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= 200_000


def test_a_partial_file_of_an_earlier_process_is_used(server: Any, one: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "ATTEMPTS_AFTER_THE_FIRST", 0)
    server.files["big.bin"], server.break_after = CONTENT, 300_000
    with pytest.raises(DataMissing, match="goes on where it stopped"):
        download.fetch_into(_from(server, one), places.cached("one"))
    assert not _files(places.cached("one"))
    download.fetch_into(_from(server, one), places.cached("one"))
    assert server.asked[-1][1] is not None
    assert (places.cached("one") / "big.bin").read_bytes() == CONTENT


@pytest.mark.timeout(30)
@pytest.mark.parametrize("sent", [0, 300_000])
def test_a_server_that_falls_silent_is_given_up_and_the_same_command_goes_on(
    server: Any, one: Manifest, monkeypatch: pytest.MonkeyPatch, sent: int
) -> None:
    """Laws: nothing hangs; one line; what came is kept, and only the rest is asked for."""
    monkeypatch.setattr(download, "ATTEMPTS_AFTER_THE_FIRST", 0)
    monkeypatch.setattr(download, "_TIMEOUT", (0.3, 0.3))
    server.files["big.bin"], server.silent_after = CONTENT, sent
    with pytest.raises(
        DataMissing, match=r"^one: could not download \S+ \(\w+\); the same command goes on where it stopped[^\n]+$"
    ):
        download.fetch_into(_from(server, one), places.cached("one"))
    assert not _files(places.cached("one"))
    download.fetch_into(_from(server, one), places.cached("one"))
    (_, first), (_, second) = server.asked
    assert first is None
    assert bool(second) == bool(sent)
    assert (places.cached("one") / "big.bin").read_bytes() == CONTENT


def test_a_stale_partial_file_cannot_spoil_the_result(server: Any, one: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The part has other bytes than the server's file: after one resumed try the download starts again."""
    other = bytes(len(CONTENT))
    monkeypatch.setattr(download, "ATTEMPTS_AFTER_THE_FIRST", 0)
    server.files["big.bin"], server.break_after = other, 100_000
    with pytest.raises(DataMissing):
        download.fetch_into(_from(server, one), places.cached("one"))
    monkeypatch.setattr(download, "ATTEMPTS_AFTER_THE_FIRST", 3)
    server.files["big.bin"] = CONTENT
    download.fetch_into(_from(server, one), places.cached("one"))
    assert (places.cached("one") / "big.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("damage", ["flipped", "cut", "longer"])
def test_wrong_bytes_from_the_server_are_refused_and_nothing_is_written(server: Any, one: Manifest, damage: str) -> None:
    wrong = {"flipped": CONTENT[:-1] + b"\0", "cut": CONTENT[:-1], "longer": CONTENT + b"\0"}[damage]
    server.files["big.bin"] = wrong
    with pytest.raises(DataCorrupt) as error:
        download.fetch_into(_from(server, one), places.cached("one"))
    assert "big.bin" in str(error.value)
    if damage != "longer":
        assert sha(CONTENT) in str(error.value)
        assert sha(wrong) in str(error.value)
    assert not _files(Path(os.environ["MTLREPRO_CACHE"]))


def test_a_corrupt_file_in_the_cache_is_refused_not_replaced(server: Any, one: Manifest) -> None:
    folder = places.cached("one")
    folder.mkdir(parents=True)
    (folder / "big.bin").write_bytes(CONTENT[:-1] + b"\0")
    server.files["big.bin"] = CONTENT
    for action in (lambda: manifest.fetch("one"), lambda: download.fetch_into(_from(server, one), folder)):
        with pytest.raises(DataCorrupt, match=sha(CONTENT)):
            action()
    assert server.asked == []
    assert (folder / "big.bin").read_bytes()[-1] == 0


def test_a_moved_file_is_reported_at_once(server: Any, one: Manifest) -> None:
    with pytest.raises(DataMissing, match="404"):
        download.fetch_into(_from(server, one), places.cached("one"))
    assert len(server.asked) == 1


def test_only_https_is_fetched_also_after_a_redirect(server: Any, one: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = _from(server, one)
    server.redirect["big.bin"] = f"{server.url}/elsewhere"
    server.files["elsewhere"] = CONTENT
    calls: list[str] = []
    monkeypatch.setattr(download, "_refuse_scheme", lambda url: calls.append(url))
    download.fetch_into(entry, places.cached("one"))
    assert f"{server.url}/elsewhere" in calls
    monkeypatch.undo()
    with pytest.raises(MtlreproError, match="https only"):
        download.resuming(entry.sources[0], Path("unused.part"))(entry.sources[0].url, "unused", None)


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(server: Any, one: Manifest, small_disk: Any) -> None:
    server.files["big.bin"] = CONTENT
    with small_disk(200_000), pytest.raises(OSError, match=r"large|space") as error:
        download.fetch_into(_from(server, one), places.cached("one"))
    assert "give the same command" in (place_refused(error.value) or "")
    assert not _files(Path(os.environ["MTLREPRO_CACHE"]))
    download.fetch_into(_from(server, one), places.cached("one"))
    assert (places.cached("one") / "big.bin").read_bytes() == CONTENT
    assert server.asked == [("big.bin", None), ("big.bin", "bytes=200000-")]


_FETCH = """
import sys
from pathlib import Path
from mtlrepro import paths
paths.manifests = lambda: Path(sys.argv[1])
from mtlrepro.data import download, manifest
download.SCHEMES = ("http", "https")
entry = manifest.get("one")
sources = tuple(s.model_copy(update={"url": sys.argv[2] + "/" + s.file}) for s in entry.sources)
download.fetch_into(entry.model_copy(update={"sources": sources}), manifest.cached("one"))
print(manifest.verify("one").hashed)
"""


def test_two_processes_may_fetch_at_once(server: Any, one: Manifest, manifest_folder: Path) -> None:
    """Both succeed, and the file is downloaded once."""
    server.files["big.bin"] = CONTENT
    command = [sys.executable, "-c", _FETCH, str(manifest_folder), server.url]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for run in runs:
        out, err = run.communicate(timeout=60)
        assert (run.returncode, out.strip()) == (0, "1"), err
    assert server.asked == [("big.bin", None)]


# --- archives ---------------------------------------------------------------------------------------------------------

_METHODS = {
    "stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED, "bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA
}  # fmt: skip
GOOD = Member(path="set/data.txt", max_size=100, sha256=sha(b"good"))


def _tar(path: Path, *infos: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, content in ((tarfile.TarInfo("set/data.txt"), b"good"), *infos):
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def _zip(path: Path, *members: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (("set/data.txt", b"good"), *members):
            archive.writestr(name, content)
    return path


def _info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def _unpack(archive: Path, *members: Member) -> Path:
    folder = archive.parent / "target"
    folder.mkdir(exist_ok=True)
    download.unpack(archive, members or (GOOD,), folder)
    return folder


def test_good_members_are_unpacked_and_the_rest_is_left(tmp_path: Path) -> None:
    for archive in (_tar(tmp_path / "a.tar.gz", (_info("set/other"), b"x")), _zip(tmp_path / "a.zip", ("set/other", b"x"))):
        folder = _unpack(archive, GOOD.model_copy(update={"file": "here/data.txt"}))
        assert (folder / "here/data.txt").read_bytes() == b"good"
        assert _files(folder) == ["data.txt"]
        (folder / "here/data.txt").unlink()


@pytest.mark.parametrize(
    "bad",
    [
        _info("../evil"),
        _info("/tmp/evil"),
        _info("set/../../evil"),
        _info("C:evil"),
        _info("set\\..\\evil"),
        _info("set/link", tarfile.SYMTYPE, "/etc/passwd"),
        _info("set/link", tarfile.LNKTYPE, "set/data.txt"),
        _info("set/device", tarfile.CHRTYPE),
        _info("set/pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda i: f"{i.name}-{i.type.decode()}",
)
def test_a_tar_file_with_one_dangerous_member_is_refused_whole(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    archive = _tar(tmp_path / "a.tar.gz", (bad, b"" if bad.type != tarfile.REGTYPE else b"evil"))
    with pytest.raises(DataCorrupt, match="refused"):
        _unpack(archive)
    assert _files(tmp_path) == ["a.tar.gz"]


def _zip_link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("set/link")
    info.external_attr = 0o120777 << 16
    return info


@pytest.mark.parametrize("bad", ["../evil", "/tmp/evil", "set/../../evil", "C:/evil", _zip_link()], ids=str)
def test_a_zip_file_with_one_dangerous_member_is_refused_whole(tmp_path: Path, bad: zipfile.ZipInfo | str) -> None:
    archive = _zip(tmp_path / "a.zip", (bad, b"evil"))
    with pytest.raises(DataCorrupt, match="refused"):
        _unpack(archive)
    assert _files(tmp_path) == ["a.zip"]


def test_members_that_unpack_to_more_than_stated_are_refused(tmp_path: Path) -> None:
    bomb = GOOD.model_copy(update={"path": "set/bomb", "max_size": 1000, "sha256": None})
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("set/bomb", bytes(10_000_000))
    tar = _tar(tmp_path / "a.tar.gz", (_info("set/bomb"), bytes(100_000)))
    for file in (tmp_path / "a.zip", tar):
        with pytest.raises(DataCorrupt, match="larger than the 1000 bytes"):
            _unpack(file, bomb)
    # A large member that nobody asked for also has to be read past.
    huge = _tar(tmp_path / "b.tar.gz", (_info("set/huge"), bytes(70 * 2**20)))
    with pytest.raises(DataCorrupt, match="unpacks to more than"):
        _unpack(huge)
    assert _files(tmp_path / "target") == []


def test_a_full_disk_leaves_no_member_behind(tmp_path: Path, small_disk: Any) -> None:
    archive = _tar(tmp_path / "a.tar.gz", (_info("set/large"), bytes(100_000)))
    large = GOOD.model_copy(update={"path": "set/large", "max_size": 100_000, "sha256": None})
    with small_disk(50_000), pytest.raises(OSError, match=r"large|space"):
        _unpack(archive, GOOD, large)
    assert _files(tmp_path) == ["a.tar.gz"]
    assert _files(_unpack(archive, GOOD, large)) == ["data.txt", "large"]


def test_wrong_missing_truncated_and_broken_archives_are_refused(tmp_path: Path) -> None:
    tar, zipped = _tar(tmp_path / "a.tar.gz"), _zip(tmp_path / "a.zip")
    for file in (tar, zipped):
        with pytest.raises(DataCorrupt, match=sha(b"good")):
            _unpack(file, GOOD.model_copy(update={"sha256": "0" * 64}))
        with pytest.raises(DataCorrupt, match="no member 'set/absent'"):
            _unpack(file, GOOD, GOOD.model_copy(update={"path": "set/absent"}))
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        with pytest.raises(DataCorrupt, match="refused"):
            _unpack(file)
        file.write_bytes(b"not an archive")
        with pytest.raises(DataCorrupt, match="refused"):
            _unpack(file)
    assert _files(tmp_path / "target") == []


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz", "tar.bz2", "stored", "deflated", "bzip2", "lzma"])
def test_damage_anywhere_in_an_archive_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    """Law: the very bytes, or a refusal of one line; nothing is left behind."""
    draw, body = random.Random(kind), bytes(range(256)) * 8 + b"plain " * 200
    packed = io.BytesIO()
    if kind.startswith("tar"):
        with tarfile.open(fileobj=packed, mode=f"w:{kind[4:]}") as archive:
            info = tarfile.TarInfo(GOOD.path)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    else:
        with zipfile.ZipFile(packed, "w", _METHODS[kind]) as archive:
            archive.writestr(GOOD.path, body)
    wanted = Member(path=GOOD.path, max_size=len(body), sha256=sha(body))
    file, folder = tmp_path / f"a.{kind if kind.startswith('tar') else 'zip'}", tmp_path / "target"
    refused = 0
    for number in range(120):
        content = bytearray(packed.getvalue())
        place = draw.randrange(len(content))
        if number % 4:
            content[place] ^= 1 << draw.randrange(8)
        else:
            del content[place:]
        file.write_bytes(content)
        folder.mkdir()
        refusal = ""
        try:
            download.unpack(file, [wanted], folder)
        except DataCorrupt as error:
            refusal = str(error)
        assert "\n" not in refusal
        assert [file.read_bytes() for file in folder.rglob("*.txt")] == ([] if refusal else [body])
        refused += bool(refusal)
        shutil.rmtree(folder)
    assert refused > 30
    assert _files(tmp_path) == [file.name]


def test_an_archive_is_fetched_by_its_members_where_its_own_hash_is_unknown(
    server: Any, write_manifest: Callable[..., Path], tmp_path: Path
) -> None:
    archive = _tar(tmp_path / "set.tar.gz").read_bytes()
    source = {"url": "https://example.org/set.tar.gz", "file": "set.tar.gz", "members": [GOOD.model_dump(exclude_none=True)]}
    write_manifest("packed", sources=[source], layouts={"official": {"folders": ["packed"]}})
    entry = _from(server, schema.get("packed"))
    server.files["set.tar.gz"] = _tar(tmp_path / "bad.tar.gz", (_info("../evil"), b"x")).read_bytes()
    with pytest.raises(DataCorrupt):
        download.fetch_into(entry, places.cached("packed"))
    assert _files(places.cached("packed")) == []
    server.files["set.tar.gz"] = archive
    download.fetch_into(entry, places.cached("packed"))
    assert (places.cached("packed") / "set/data.txt").read_bytes() == b"good"
    assert not list((Path(os.environ["MTLREPRO_CACHE"]) / "downloads").rglob("set.tar.gz"))


def test_gzip_bytes_are_not_unpacked_on_the_way(server: Any, write_manifest: Callable[..., Path]) -> None:
    """A .gz file is kept as it is: its own sha256 is the one compared."""
    packed = gzip.compress(CONTENT, mtime=0)
    source = {"url": "https://example.org/a.gz", "file": "a.gz", "sha256": sha(packed)}
    write_manifest("packed", sources=[source], layouts={"official": {"folders": ["packed"]}})
    server.files["a.gz"] = packed
    download.fetch_into(_from(server, schema.get("packed")), places.cached("packed"))
    assert (places.cached("packed") / "a.gz").read_bytes() == packed
