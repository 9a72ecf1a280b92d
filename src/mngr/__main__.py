"""The `mngr` command."""

from __future__ import annotations

import signal


def main() -> None:
    """Runs the command line and ends the process."""
    # Python would show where it is when it is interrupted before there is anything to undo.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from mngr.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
