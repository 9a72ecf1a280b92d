"""What objects may be called, and what making one under a name means. The same for all kinds."""

from __future__ import annotations

import re
from enum import Enum

from localmodal.errors import InvalidArgument

_NAME = re.compile(r"[A-Za-z0-9\-_.]{1,64}")


class Creation(Enum):
    """What to do when an object of a name is there, or is not."""

    LOOK_UP = 0
    CREATE_IF_MISSING = 1
    FAIL_IF_EXISTS = 2
    OVERWRITE = 3
    ANONYMOUS = 4
    EPHEMERAL = 5

    @property
    def unnamed(self) -> bool:
        return self in (Creation.ANONYMOUS, Creation.EPHEMERAL)


def check_name(name: str, kind: str) -> None:
    """Raises `InvalidArgument`, in Modal's words, for a name that Modal refuses."""
    if not _NAME.fullmatch(name):
        raise InvalidArgument(
            f"Invalid {kind} name: '{name}'.\n\nNames may contain only alphanumeric characters, dashes, periods, and "
            "underscores, and must be at most 64 characters in length."
        )
