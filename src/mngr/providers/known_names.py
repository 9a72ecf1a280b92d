"""Names of hosts, agents and snapshots from this machine's copies of records, for completion: without msgspec, whose
import alone takes as long as all of this, and without opening what was read before.

What was read is kept in one file, a line each host, by the name of the record's copy; the content of such a name never
changes (see `copies`).
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from mngr import paths

_FOLDERS = "records-"


@dataclass(frozen=True, slots=True)
class Names:
    """Of one host; its snapshots by their names, or by their ids where they have none, the newest first."""

    name: str
    state: str
    agents: tuple[str, ...]
    snapshots: tuple[str, ...]


def read(*, destroyed: bool = False) -> list[Names]:
    """What this machine knows; with `destroyed` also of hosts that are gone but for snapshots or volume."""
    index = paths.home() / "cache" / "names"
    kept = _kept(index.read_text()) if index.exists() else {}
    newest = _newest()
    found = {key: kept.get(key) or _look(key) for key in newest}
    if found.keys() != kept.keys():
        lines = ["\t".join([key, *_fields(names)]) for key, names in found.items() if names is not None]
        with contextlib.suppress(OSError):
            paths.write_private(index, "\n".join(lines).encode())
    return [names for names in found.values() if names is not None and (destroyed or names.state != "DESTROYED")]


def _newest() -> list[str]:
    """The newest copy of each record, as ``records-PROVIDER/HOST.REVISION-DIGEST.json``."""
    newest: dict[str, str] = {}
    with contextlib.suppress(FileNotFoundError), os.scandir(paths.home() / "cache") as folders:
        for folder in folders:
            if folder.name.startswith(_FOLDERS):
                for file in sorted(os.listdir(folder.path)):  # noqa: PTH208 (a hundred times as fast)
                    if file.endswith(".json"):
                        newest[file.split(".")[0]] = f"{folder.name}/{file}"
    return list(newest.values())


def _kept(text: str) -> dict[str, Names]:
    found = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) == 5:
            key, name, state, agents, snapshots = fields
            found[key] = Names(name, state, tuple(agents.split()), tuple(snapshots.split()))
    return found


def _fields(names: Names) -> list[str]:
    return [names.name, names.state, " ".join(names.agents), " ".join(names.snapshots)]


def _look(key: str) -> Names | None:
    import json

    try:
        record = json.loads((paths.home() / "cache" / key).read_bytes())
        snapshots = sorted(record.get("snapshots", []), key=lambda one: -one["created_at"])
        return Names(
            record["name"],
            record["state"],
            tuple(agent["name"] for agent in record.get("agents", [])),
            tuple(one.get("name") or one["id"] for one in snapshots),
        )
    except (OSError, ValueError, LookupError, TypeError):
        # Removed meanwhile, or written by another mngr in another form.
        return None
