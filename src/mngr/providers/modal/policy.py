"""What the settings say of how hosts end and are kept."""

from __future__ import annotations

from mngr import durations
from mngr.config import ModalSettings
from mngr.errors import UsageError
from mngr.models import IdleMode, Policy


def read(settings: ModalSettings) -> Policy:
    """Raises `UsageError` with all problems, a line each."""
    problems: list[str] = []

    def seconds(name: str) -> int:
        try:
            return durations.parse(getattr(settings, name))
        except ValueError as error:
            problems.append(f"setting {name} = {getattr(settings, name)!r}: {error}")
            return 0

    modes = [mode.value for mode in IdleMode]
    if settings.default_idle_mode not in modes:
        problems.append(
            f"setting default_idle_mode = {settings.default_idle_mode!r}: must be one of {', '.join(modes)}"
        )
    idle_timeout_s, gone_s, buffer_s = map(seconds, ("default_idle_timeout", "agents_gone_grace", "shutdown_buffer"))
    every_s = seconds("snapshot_every") if settings.snapshot_every != "" else 0
    if settings.keep_snapshots < 1:
        problems.append(f"setting keep_snapshots = {settings.keep_snapshots}: must be 1 or more")
    sync_s = seconds("volume_sync_interval")
    if not problems and sync_s < 1:
        problems.append(f"setting volume_sync_interval = {settings.volume_sync_interval!r}: must be 1s or more")
    if settings.log_max_mb < 1:
        problems.append(f"setting log_max_mb = {settings.log_max_mb}: must be 1 or more")
    ttl_s(settings, problems)
    if problems:
        raise UsageError("\n".join(problems))
    return Policy(
        idle_mode=IdleMode(settings.default_idle_mode),
        idle_timeout_s=idle_timeout_s,
        agents_gone_s=gone_s,
        shutdown_buffer_s=buffer_s,
        auto_restart=settings.auto_restart,
        snapshot_every_s=every_s,
        keep_snapshots=settings.keep_snapshots,
        sync_every_s=sync_s,
        log_max_mb=settings.log_max_mb,
    )


def ttl_s(settings: ModalSettings, problems: list[str] | None = None) -> int | None:
    """How long snapshots are kept, in seconds; None for ever. Raises `UsageError` unless `problems` takes it."""
    if settings.snapshot_ttl == "":
        return None
    try:
        return durations.parse(settings.snapshot_ttl)
    except ValueError as error:
        message = f"setting snapshot_ttl = {settings.snapshot_ttl!r}: {error}"
        if problems is None:
            raise UsageError(message) from None
        problems.append(message)
        return None
