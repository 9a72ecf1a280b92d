"""Programs whose words are heard while they run."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from typing import IO, Any, Literal


def hear(argv: Sequence[str], stream: Literal["stdout", "stderr"], line: Callable[[bytes], None], **more: Any) -> int:
    """Runs a program without input; `line` hears each line of its `stream` as it is written, those that a carriage
    return ends too, in another thread. Its exit code. `more` is for `subprocess.run`, whose errors it raises."""
    from concurrent.futures import ThreadPoolExecutor

    reads, writes = os.pipe()
    with os.fdopen(reads, "rb", buffering=0) as pipe, ThreadPoolExecutor(1) as pool:
        hearing = pool.submit(_hear, pipe, line)
        try:
            options: dict[str, Any] = {stream: writes, **more}
            code: int = subprocess.run(argv, stdin=subprocess.DEVNULL, **options).returncode
        finally:
            os.close(writes)
        hearing.result()
    return code


def _hear(pipe: IO[bytes], line: Callable[[bytes], None]) -> None:
    rest = b""
    while data := pipe.read(65536):
        *lines, rest = re.split(rb"[\r\n]", rest + data)
        for text in lines:
            line(text)
    if rest:
        line(rest)
