"""Local files for the environments of agents: which may go where, and that what was chosen is what is sent.

Every file is opened before the first one is uploaded, and sent from where it was opened: a file that is replaced in
the meantime is not sent in the place of the one that was chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath, fstat, stat_result
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from ....kernel.errors import OpenAIError

if TYPE_CHECKING:
    from ....types.beta.agents.environments.environment_file import EnvironmentFile
    from ....types.beta.hosted_environment_file_param import HostedEnvironmentFileParam

__all__ = (
    "AgentFilePreparationError",
    "AgentFileStagingError",
    "Opened",
    "PreparedAgentFiles",
    "Selection",
    "StagedAgentFile",
    "checked_destination",
    "checked_destinations",
    "directory_files",
)

WORKSPACE = "/workspace"
"""Where the files of an environment are."""
OUTPUTS = f"{WORKSPACE}/outputs"
"""Where an agent puts what its turn publishes."""


@dataclass
class PreparedAgentFiles:
    """Files that were uploaded for an environment that is to be made."""

    files: list[HostedEnvironmentFileParam] = field(default_factory=list["HostedEnvironmentFileParam"])
    """What to give as the environment's `files`."""
    uploaded_file_ids: list[str] = field(default_factory=list[str])
    """The uploads, in the same order: yours to delete."""


@dataclass(frozen=True)
class StagedAgentFile:
    """A file that was put into an environment, and the upload it was copied from."""

    uploaded_file_id: str
    """The upload: yours to delete."""
    file: EnvironmentFile


class AgentFilePreparationError(OpenAIError):
    """Not all files were uploaded; `__cause__` says why."""

    def __init__(self, prepared: PreparedAgentFiles) -> None:
        done = len(prepared.uploaded_file_ids)
        super().__init__(f"not all files were uploaded: {done} were, and are yours to delete; see `prepared`")
        self.prepared = prepared
        """Those that were."""


class AgentFileStagingError(OpenAIError):
    """The file was uploaded and did not get into the environment; `__cause__` says why."""

    def __init__(self, uploaded_file_id: str) -> None:
        super().__init__(f"the file did not get into the environment; its upload {uploaded_file_id} is yours to delete")
        self.uploaded_file_id = uploaded_file_id


# Where files go


def checked_destination(path: str) -> str:
    """A path in an environment. Raises `ValueError` for one that no file may have."""
    parts = path.split("/")
    if parts[:2] != ["", "workspace"] or len(parts) < 3 or "\x00" in path or "\\" in path:
        raise ValueError(f"a file of an environment is at an absolute path below {WORKSPACE}; it was {path!r}")
    if not {"", ".", ".."}.isdisjoint(parts[1:]):
        raise ValueError(f"the path of a file has no empty part and neither . nor ..; it was {path!r}")
    first = parts[2]
    if first in (".codex", ".managed-agents") or first.startswith(".managed-agents-") or path == OUTPUTS:
        raise ValueError(f"the path {path!r} is reserved for the environment itself")
    return path


def checked_destinations(paths: Sequence[str]) -> None:
    """See that files may go to all these paths. Raises `ValueError`."""
    taken = {checked_destination(path) for path in paths}
    for path in taken:
        above = next((str(parent) for parent in PurePosixPath(path).parents if str(parent) in taken), None)
        if above is not None:
            raise ValueError(f"the paths are conflicting: {above!r} cannot be a file and have {path!r} below it")


# What is sent


class Selected(NamedTuple):
    """Which file a path named when a directory was looked through."""

    device: int
    inode: int
    size: int

    @classmethod
    def of(cls, found: stat_result) -> Selected:
        return cls(found.st_dev, found.st_ino, found.st_size)


class _SelectedPath(PathLike[str]):
    """A path with the file that it named."""

    def __init__(self, path: Path, selected: Selected) -> None:
        self.path, self.selected = path, selected

    def __fspath__(self) -> str:
        return str(self.path)


class Opened(NamedTuple):
    """A local file that was opened to be sent."""

    name: str
    handle: BinaryIO
    size: int

    def unchanged(self) -> tuple[str, BinaryIO]:
        """The file as an argument of an upload. Raises `ValueError` where it has grown or shrunk."""
        if fstat(self.handle.fileno()).st_size != self.size:
            raise ValueError(f"the file {self.name!r} changed while files were prepared")
        return self.name, self.handle


class Selection:
    """Local files that are open, and closed together: also while a worker thread still opens them."""

    def __init__(self) -> None:
        self._handles: list[BinaryIO] = []
        self._closed = False
        self._lock = Lock()

    def open(self, sources: Sequence[str | PathLike[str]]) -> list[Opened]:
        """Open files. Raises `ValueError` for what is no regular file, or not the one that was selected."""
        paths = [_checked_local(source) for source in sources]
        return [self._keep(path, source) for path, source in zip(paths, sources, strict=True)]

    def _keep(self, path: Path, source: str | PathLike[str]) -> Opened:
        handle, size = _open_local(path, source.selected if isinstance(source, _SelectedPath) else None)
        with self._lock:
            if not self._closed:
                self._handles.append(handle)
                return Opened(path.name, handle, size)
        handle.close()
        raise ValueError("the files are not wanted any more")

    def close(self) -> None:
        """Close all files, and those that are opened after this."""
        with self._lock:
            self._closed = True
            for handle in self._handles:
                handle.close()


def _checked_local(source: str | PathLike[str]) -> Path:
    path = Path(fspath(source)).absolute()
    if path.is_symlink():
        raise ValueError(f"{str(path)!r} is a symlink: name the file itself")
    if not path.is_file():
        raise ValueError(f"only regular files can be sent, and {str(path)!r} is none")
    return path


def _open_local(path: Path, selected: Selected | None = None) -> tuple[BinaryIO, int]:
    """Open a file, and see that it is the one that was looked at."""
    found = path.lstat()
    if not S_ISREG(found.st_mode):
        raise ValueError(f"only regular files can be sent, and {str(path)!r} is none")
    if selected is not None and Selected.of(found) != selected:
        raise ValueError(f"{str(path)!r} changed after directory selection")
    handle = path.open("rb")
    opened = fstat(handle.fileno())
    if Selected.of(opened) != Selected.of(found):
        handle.close()
        raise ValueError(f"{str(path)!r} changed while files were prepared")
    return handle, opened.st_size


def directory_files(root: str | PathLike[str], destination: str, include: Sequence[str]) -> Mapping[str, Any]:
    """The files in a directory that match patterns such as `**/*.md`, by their paths in an environment.

    Raises `ValueError` where there are none, for patterns that lead out of the directory, and for symlinks.
    """
    if isinstance(include, str) or not include:
        raise ValueError(f"`include` is a list of patterns that select files, such as ['**/*.md']; it was {include!r}")
    for pattern in include:
        parts = PurePosixPath(pattern).parts
        if not pattern or pattern.startswith("/") or ".." in parts:
            raise ValueError(f"a pattern selects files inside the directory, and {pattern!r} does not")
    directory = Path(root).absolute()
    if directory.is_symlink() or not directory.is_dir():
        raise ValueError(f"{str(directory)!r} is no directory, or a symlink to one")
    checked_destination(f"{destination}/a")
    directory = directory.resolve()  # above it, symlinks do no harm
    found: dict[str, _SelectedPath] = {}
    for pattern in include:
        for path in sorted(directory.glob(pattern)):
            _check_way(directory, path)
            if path.is_dir():
                continue
            file = path.resolve()
            if not file.is_relative_to(directory):
                raise ValueError(f"{str(path)!r} is outside the directory")
            place = PurePosixPath(destination) / path.relative_to(directory).as_posix()
            found[str(place)] = _SelectedPath(file, Selected.of(file.lstat()))
    if not found:
        raise ValueError(f"no file in {str(directory)!r} matches {', '.join(include)}")
    return found


def _check_way(directory: Path, path: Path) -> None:
    while path != directory:
        if path.is_symlink():
            raise ValueError(f"{str(path)!r} is a symlink: only files that are in the directory itself are sent")
        path = path.parent
