"""The error numbers of maps, as every Linux has them; Python's `errno` has this host's."""

from __future__ import annotations

EPERM = 1
ENOENT = 2
E2BIG = 7
ENOMEM = 12
EAGAIN = 11
EBUSY = 16
EEXIST = 17
EINVAL = 22
ENOSPC = 28
EOPNOTSUPP = 95

ANY, NOEXIST, EXIST, LOCK = 0, 1, 2, 4  # flags of an update
