"""The end of the process."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys


class Leaving:
    """Ends the process with `code` once its threads have ended and everything that others registered for its end is
    done, and takes nothing of the interpreter apart.

    Python would end the threads that nobody waits for wherever they are. One that imports a module has that module's
    lock then, and whatever the rest of the interpreter's end imports waits for it for ever (seen with Python 3.11).
    """

    def __init__(self) -> None:
        self.code = 1
        # What is registered last is called first, and after this nothing is.
        atexit.register(self._leave)

    def _leave(self) -> None:
        code = self.code
        for stream in (sys.stdout, sys.stderr):
            # A stream that was closed when the process began is None.
            if stream is not None and not stream.closed:
                try:
                    stream.flush()
                except BrokenPipeError:
                    continue
                except OSError as error:
                    # A command that failed has said why.
                    if not code:
                        code = 1
                        with contextlib.suppress(OSError):
                            print(f"mngr: the output could not be written: {error.strerror}", file=sys.stderr)
        os._exit(code)
