"""Records are read by several threads at once from the first moment on."""

from __future__ import annotations

import subprocess
import sys

READ = """
import sys, threading
sys.setswitchinterval(1e-6)
import msgspec
from mngr.models import RECORDS
from mngr.providers.modal.options import Options

record = b'''{"id": "h", "name": "n", "provider": "p", "revision": 1, "state": "RUNNING", "created_at": 1.0,
  "snapshots": [{"id": "im", "kind": "exit", "created_at": 1.0}], "volume": {"name": "v"}, "policy": {},
  "agents": [{"id": "a", "name": "n", "type": "t", "command": "c", "work_dir": "/w", "created_at": 1.0}]}'''
together = threading.Barrier(8)

def read():
    together.wait()
    RECORDS.decode(record)
    msgspec.convert({"cpu": 2.0, "volumes": ["a:/a"]}, Options)

threads = [threading.Thread(target=read) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_the_first_reading_may_be_by_several() -> None:
    for _round in range(5):
        subprocess.run([sys.executable, "-c", READ], check=True)
