"""Opening what holds data: a plain or compressed file, a member of a folder or zip archive, or an address."""

from __future__ import annotations

import contextlib
import gzip
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from recsvc.data.dataset import DataError
from recsvc.recipe import Progress

STALLED_S = 30.0
LIMIT_BYTES = 8 * 1024**3
_BLOCK = 1 << 20
_MB = 1_000_000
_GZIP = b"\x1f\x8b"
_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)


@dataclass(frozen=True)
class Opened:
    """A stream of plain bytes; ``position`` and ``size`` are those of what is really read, compressed or not."""

    stream: IO[bytes]
    raw: IO[bytes]
    size: int

    def position(self) -> int:
        return self.raw.tell()


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """A file's bytes, decompressed where it is gzip; raises `DataError` where it cannot be opened or is damaged."""
    try:
        raw = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    with raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        stream = gzip.GzipFile(fileobj=raw) if packed else raw
        try:
            yield Opened(stream, raw, path.stat().st_size)  # type: ignore[arg-type]
        except _DAMAGED as error:
            raise DataError(f"{path}: the compressed file is damaged ({error}). Write or fetch it again.") from error


def is_address(where: str) -> bool:
    """Whether ``where`` names something to download and no file."""
    return where.startswith(("http://", "https://"))


@contextlib.contextmanager
def members(where: str, progress: Progress) -> Iterator[Members]:
    """The files of a folder, a zip archive, or an archive to download; raises `DataError`.

    What is downloaded lies in a file without a name, so nothing of it stays, however this ends.
    """
    if is_address(where):
        with tempfile.TemporaryFile(prefix="recsvc-") as file:
            download(where, file, progress)
            yield Members(where, archive=_archive(where, file))
        return
    path = Path(where).expanduser()
    if path.is_dir():
        yield Members(where, folder=path)
    elif path.is_file():
        with path.open("rb") as file:
            yield Members(where, archive=_archive(where, file))
    else:
        raise DataError(f"{path}: there is no such folder or file. Name the folder or the zip archive with --source.")


@dataclass(frozen=True)
class Members:
    """Files found by their own names, wherever in the folder or archive they lie."""

    where: str
    folder: Path | None = None
    archive: zipfile.ZipFile | None = None

    def __contains__(self, name: str) -> bool:
        return self._find(name) is not None

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[Opened]:
        """The bytes of a file; raises `DataError` where there is none of that name, or the archive is damaged."""
        found = self._find(name)
        if found is None:
            raise DataError(f"{self.where}: it has no {name}. Is this the right folder or archive?")
        if isinstance(found, Path):
            with opened(found) as file:
                yield file
            return
        assert self.archive is not None
        try:
            with self.archive.open(found) as stream:
                yield Opened(stream, stream, found.file_size)
        except (zipfile.BadZipFile, EOFError, zlib.error) as error:
            raise DataError(f"{self.where}: the archive is damaged ({error}). Fetch it again.") from error

    def read(self, name: str) -> bytes:
        with self.open(name) as file:
            return file.stream.read()

    def _find(self, name: str) -> Path | zipfile.ZipInfo | None:
        if self.folder is not None:
            return next((path for path in sorted(self.folder.rglob(name)) if path.is_file()), None)
        assert self.archive is not None
        return next((info for info in self.archive.infolist() if PurePosixPath(info.filename).name == name), None)


def download(url: str, file: IO[bytes], progress: Progress) -> None:
    """Fetch an address into an open file and rewind it; raises `DataError` when it breaks off or stalls for 30 s."""
    done = 0
    try:
        # http and https alone get here: `is_address` let them through.
        with urllib.request.urlopen(url, timeout=STALLED_S) as response:  # noqa: S310
            announced = int(response.headers.get("Content-Length") or 0)
            while block := response.read(_BLOCK):
                file.write(block)
                done += len(block)
                if done > LIMIT_BYTES:
                    raise DataError(f"{url}: gave up after {done / 1e9:.0f} GB")
                progress("download", done // _MB, max(announced, done) // _MB, f"{done / 1e6:.0f} MB")
    except (OSError, urllib.error.URLError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise DataError(
            f"{url}: cannot be fetched ({reason}). Fetch it elsewhere and name the file with --source."
        ) from error
    if announced and announced != done:
        raise DataError(f"{url}: broke off after {done} of {announced} bytes. Try again.")
    file.seek(0)


def _archive(where: str, file: IO[bytes]) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        raise DataError(f"{where}: it is no zip archive ({error}).") from error
