"""Runs a program that refuses root, when we are root, without making users or opening folders to others.

Where every folder on the way lets others pass, it runs as `nobody`. Else (a checkout below /root or a private
temporary folder) it runs in a user namespace of its own, in which root is called `nobody`: the same rights on files
as root's own, no privileges, and its `geteuid()` isn't 0.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mockupaws.runtime.errors import PermanentError

_CLONE_NEWUSER = 0x10000000


class NoIdentityError(PermanentError):
    """There is no way to run the program here as anybody but root."""


@dataclass(frozen=True, slots=True)
class Identity:
    user: int
    group: int
    in_namespace: bool

    @property
    def owner(self) -> tuple[int, int]:
        """Who must own the program's files, as seen from outside."""
        return (os.geteuid(), os.getegid()) if self.in_namespace else (self.user, self.group)


def choose_identity(folders: Sequence[Path]) -> Identity | None:
    """Who may run what needs all of `folders`; None: we aren't root, so ourselves.

    Raises NoIdentityError.
    """
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    closed = [str(folder) for path in folders for folder in (path, *path.parents)[1:] if not _lets_others_pass(folder)]
    if not closed:
        return Identity(nobody.pw_uid, nobody.pw_gid, in_namespace=False)
    if not _namespaces_work():
        raise NoIdentityError(
            f"Postgres refuses to run as root, and its user `nobody` may not pass {closed[0]}: "
            "run as another user, or move the checkout (and MOCKUPAWS_HOME) to a folder that others may pass"
        )
    return Identity(nobody.pw_uid, nobody.pw_gid, in_namespace=True)


def arguments_of(identity: Identity | None, finish: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Keyword arguments for `subprocess`; `finish` runs in the child, as that identity, just before the program."""
    if identity is None:
        return {"preexec_fn": finish}
    if not identity.in_namespace:
        return {"user": identity.user, "group": identity.group, "extra_groups": [], "preexec_fn": finish}
    libc = ctypes.CDLL(None, use_errno=True)
    maps = {
        "setgroups": "deny",
        "gid_map": f"{identity.group} {os.getegid()} 1",
        "uid_map": f"{identity.user} {os.geteuid()} 1",
    }

    def enter_namespace() -> None:
        if libc.unshare(_CLONE_NEWUSER) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        for name, text in maps.items():
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        finish()

    return {"preexec_fn": enter_namespace}


def _lets_others_pass(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IXOTH)


def _namespaces_work() -> bool:
    if sys.platform != "linux":
        return False
    child = os.fork()
    if child == 0:
        os._exit(ctypes.CDLL(None).unshare(_CLONE_NEWUSER) & 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
