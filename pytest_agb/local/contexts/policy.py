"""How a session and a context keep in step: the policy that a client sends, taken apart.

Names and defaults are those of agbcloud-sdk 0.12's `SyncPolicy`; what they mean is said in the service's
documentation (docs/context/sync-policies.md and best-practices.md of the SDK's repository).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_DAY_SECONDS = 86400.0


class PolicyError(ValueError):
    """It is no policy; the message says what in it is wrong."""


@dataclass(frozen=True)
class WhiteList:
    """A file or folder that takes part, relative to the mount point, and what in it does not."""

    path: str
    #: Relative to `path`.
    exclude: tuple[str, ...] = ()

    def includes(self, name: str) -> bool:
        """Return whether the file ``name``, relative to the mount point, takes part."""
        if not is_in(name, self.path):
            return False
        rest = name[len(self.path) :].lstrip("/")
        return not any(is_in(rest, path) for path in self.exclude)


@dataclass(frozen=True)
class SyncPolicy:
    """What is done, when, with which files."""

    #: Upload when the session ends, however it ends.
    auto_upload: bool = True
    #: Upload one ZIP archive instead of each file.
    archive: bool = False
    #: Download when the session begins.
    auto_download: bool = True
    #: What the session deleted is deleted in the context too.
    sync_deletions: bool = True
    #: Unpack the archives of the context in the session ...
    extract: bool = True
    #: ... and leave the archive out there.
    drop_archive: bool = True
    #: Unpack into the archive's folder; otherwise into a folder of the archive's name.
    extract_here: bool = False
    #: Seconds that files are kept after an upload; ``None``: for ever.
    keep_seconds: float | None = None
    #: Which, relative to the mount point; ``""`` is all.
    keep_paths: tuple[str, ...] = ("",)
    #: Empty: everything takes part.
    white_lists: tuple[WhiteList, ...] = ()
    #: The path that the files had in other sessions; ``""``: the mount point.
    mapped_from: str = ""

    def includes(self, name: str) -> bool:
        """Return whether the file ``name``, relative to the mount point, takes part."""
        return not self.white_lists or any(one.includes(name) for one in self.white_lists)


def parse(policy: dict[str, Any]) -> SyncPolicy:
    """Take a policy apart; what it does not say is as by default.

    Raises:
        PolicyError: something in it is not of its type; the message names it.
    """
    upload, download = _section(policy, "uploadPolicy"), _section(policy, "downloadPolicy")
    extract, recycle = _section(policy, "extractPolicy"), _section(policy, "recyclePolicy")
    mode = upload.get("uploadMode") or "File"
    if mode not in ("File", "Archive"):
        raise PolicyError(f"uploadMode must be File or Archive, not {mode!r:.50}")
    return SyncPolicy(
        auto_upload=_flag(upload, "autoUpload", default=True),
        archive=mode == "Archive",
        auto_download=_flag(download, "autoDownload", default=True),
        sync_deletions=_flag(_section(policy, "deletePolicy"), "syncLocalFile", default=True),
        extract=_flag(extract, "extract", default=True),
        drop_archive=_flag(extract, "deleteSrcFile", default=True),
        extract_here=_flag(extract, "extractToCurrentFolder", default=False),
        keep_seconds=_lifecycle(recycle.get("lifecycle")),
        keep_paths=tuple(_paths(recycle.get("paths", [""]), "paths")),
        white_lists=tuple(_white_lists(_section(policy, "bwList").get("whiteLists"))),
        mapped_from=_text(_section(policy, "mappingPolicy").get("path", ""), "path"),
    )


def is_in(name: str, folder: str) -> bool:
    """Return whether a relative path is ``folder`` or below it; ``""`` is above all."""
    return not folder or name == folder or name.startswith(f"{folder}/")


def _section(policy: dict[str, Any], name: str) -> dict[str, Any]:
    section = policy.get(name)
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise PolicyError(f"{name} is no JSON object")
    return section


def _flag(section: dict[str, Any], name: str, *, default: bool) -> bool:
    value = section.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise PolicyError(f"{name} must be true or false, not {value!r:.50}")
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise PolicyError(f"{name} must be text, not {value!r:.50}")
    return value


def _paths(value: Any, name: str) -> list[str]:
    """Return relative paths without slashes around; wildcards are not supported and mean themselves."""
    if not isinstance(value, list):
        raise PolicyError(f"{name} must be an array of paths, not {value!r:.50}")
    return [_text(path, name).strip("/") for path in value]


def _white_lists(value: Any) -> list[WhiteList]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise PolicyError(f"whiteLists must be an array of objects, not {value!r:.50}")
    return [
        WhiteList(
            _text(one.get("path", ""), "path").strip("/"),
            tuple(_paths(one.get("excludePaths") or [], "excludePaths")),
        )
        for one in value
    ]


def _lifecycle(value: Any) -> float | None:
    if value in (None, "", "Lifecycle_Forever"):
        return None
    match = re.fullmatch(r"Lifecycle_(\d{1,4})Days?", value, re.ASCII) if isinstance(value, str) else None
    if match is None:
        raise PolicyError(f"lifecycle must be like Lifecycle_3Days or Lifecycle_Forever, not {value!r:.50}")
    return int(match[1]) * _DAY_SECONDS
