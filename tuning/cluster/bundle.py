"""The files that travel with a job to a cluster: the user's modules, and data of moderate size."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sys
import sysconfig
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from trainers import InvalidInput, Problem
from tuning.spec.job import JobSpec

__all__ = ["DATA", "collect", "digests", "is_large", "pack", "put"]

#: The folder of a table that does not lie beside the job file.
DATA = "_data"
_MAX_BYTES = 100_000_000  # they are kept in the database, for `resume` after the cluster was lost
_OURS = ("trainers", "tuning")  # installed wherever a job is carried out


def collect(spec: JobSpec, problem: Problem, folder: Path) -> tuple[dict[str, Path], str | None]:
    """Name in the bundle -> file; and the name of the table in it, if the problem has one.

    Args:
        folder: of the job file.

    Raises:
        InvalidInput: a pattern of cluster.include is not valid or matches nothing, two files would
            have one name, or it is too much.
    """
    sources = [getattr(source, "__module__", "") for source in problem.sources()]
    own = spec.problem.name.partition(":")
    found = [
        pair for name in dict.fromkeys([*sources, own[0] if own[1] else ""]) for pair in _of(name)
    ]
    for pattern in spec.cluster.include:
        found += _matching(pattern, folder)
    table, name = _table(spec, problem, folder), None
    if table is not None:
        inside = table.is_relative_to(folder)
        where = table.relative_to(folder) if inside else Path(DATA, table.name)
        found.append((where, table))
        name = str(PurePosixPath(where))
    files: dict[str, Path] = {}
    for where, path in found:
        other = files.setdefault(str(PurePosixPath(where)), path)
        if not other.samefile(path):
            raise InvalidInput(
                f"{other} and {path} would both travel with the job as {where}: rename one of them"
            )
    if spec.cluster.files is None and is_large(files):
        raise InvalidInput(_too_much(files))
    return files, name


def digests(files: Mapping[str, Path]) -> dict[str, str]:
    """SHA-256 of each file."""
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(files.items())
    }


def is_large(files: Mapping[str, Path]) -> bool:
    """Whether they are more than the database shall keep."""
    return sum(path.stat().st_size for path in files.values()) > _MAX_BYTES


def pack(files: Mapping[str, Path]) -> bytes:
    """A zip of `files`; the same bytes for the same files, so that a cluster keeps it once."""
    packed = io.BytesIO()
    _write(packed, files, "")
    return packed.getvalue()


def put(files: Mapping[str, Path], store: str) -> str:
    """Put a zip of `files` into the folder `store`, by fsspec, unless it is there; its address.

    Raises:
        InvalidInput: it cannot be written there.
    """
    import fsspec

    marks = json.dumps(digests(files), sort_keys=True)
    address = f"{store.rstrip('/')}/{hashlib.sha256(marks.encode()).hexdigest()}.zip"
    try:
        system, path = fsspec.core.url_to_fs(address)
        if not system.exists(path):
            system.makedirs(system._parent(path), exist_ok=True)
            unfinished = f"{path}.{uuid.uuid4().hex}"
            with system.open(unfinished, "wb") as file:
                _write(file, files, "bundle/")  # Ray takes one folder away
            system.mv(unfinished, path)
    except (OSError, ValueError, ImportError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise InvalidInput(f"cluster.files = {store!r} cannot be written: {line}") from error
    return address


def _write(target: IO[bytes], files: Mapping[str, Path], folder: str) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(files.items()):
            entry = zipfile.ZipInfo(folder + name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with (
                path.open("rb") as source,
                archive.open(entry, "w", force_zip64=bool(folder)) as inside,
            ):
                shutil.copyfileobj(source, inside)


def _of(module: str) -> Iterator[tuple[Path, Path]]:
    """Name and file of the user's own modules: the package of `module`, and what else has been
    imported from the folder in which it lies. Installed packages must be installed on the cluster
    too."""
    home = sys.modules.get(module)
    # `python -m package.module` is called __main__, and its spec what it would be called otherwise.
    name = getattr(getattr(home, "__spec__", None), "name", "__main__")
    file = getattr(home, "__file__", None)
    if name.partition(".")[0] in _OURS or file is None or _installed(Path(file)):
        return
    # From a/b.py, module a.b, up to the folder in which a is; from its package's a/b/__init__.py.
    root = Path(file).parents[name.count(".") + (Path(file).stem == "__init__")]
    package = root / name.partition(".")[0]
    found = set(package.rglob("*.py"))
    for module, loaded in list(sys.modules.items()):
        path = Path(getattr(loaded, "__file__", None) or os.devnull)
        # What lies deeper is imported from elsewhere, and would not be found from here.
        if path.is_relative_to(root) and path.relative_to(root).parts[0] in (
            module.partition(".")[0],
            f"{module}.py",
        ):
            found.add(path)
    for path in found:
        where = path.relative_to(root)
        hidden = any(part.startswith(".") for part in where.parts)
        ours = where.parts[0] in _OURS or path.suffix != ".py" or hidden
        if not ours and path.is_file() and not _installed(path):
            yield where, path


def _installed(path: Path) -> bool:
    libraries = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    return bool({"site-packages", "dist-packages"} & set(path.parts)) or any(
        path.is_relative_to(library) for library in libraries
    )


def _matching(pattern: str, folder: Path) -> list[tuple[Path, Path]]:
    where = f"cluster.include: {pattern!r}"
    try:
        if ".." in Path(pattern).parts:  # on the cluster there is nothing above the folder
            raise ValueError(pattern)
        paths = [path for path in folder.glob(pattern) if path.is_file()]
    except (ValueError, NotImplementedError) as error:
        raise InvalidInput(
            f"{where} is not valid; a file or a pattern beside the job file, as in 'tables/*.csv'"
        ) from error
    if not paths:
        raise InvalidInput(f"{where} matches no file in {folder}")
    return [(path.relative_to(folder), path) for path in paths]


def _table(spec: JobSpec, problem: Problem, folder: Path) -> Path | None:
    """The table of `problem.data`, found as `JobSpec.make_problem` finds it."""
    data = spec.problem.parameters.get("data")
    if problem.loaded_data is None or not isinstance(data, str) or "://" in data:
        return None
    if not Path(data).suffix:  # a data set that is built in
        return None
    places = (Path(os.path.abspath(place)) for place in (folder / data, data))
    return next((path for path in places if path.is_file()), None)


def _too_much(files: Mapping[str, Path]) -> str:
    sizes = {name: path.stat().st_size for name, path in files.items()}
    largest = max(sizes, key=lambda name: sizes[name])
    return (
        f"{sum(sizes.values()) / 1e6:.0f} MB would travel with the job, the most are "
        f"{_MAX_BYTES / 1e6:.0f}; {largest} alone has {sizes[largest] / 1e6:.0f}: put it where "
        "the whole cluster can read it, and name it by its URI (s3://, https://, file://); or name "
        "such a place by cluster.files, and they are put there"
    )
