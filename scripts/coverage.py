"""Writes docs/localmodal/coverage.md: which RPCs of Modal's protocol localmodal serves. `--check` only compares."""

from __future__ import annotations

import sys
from pathlib import Path

from modal_proto.api_pb2 import DESCRIPTOR as CONTROL_PLANE
from modal_proto.task_command_router_pb2 import DESCRIPTOR as COMMAND_ROUTER

from localmodal import server

PAGE = Path(__file__).parent.parent / "docs" / "localmodal" / "coverage.md"
PROTOCOLS = (
    ("ModalClient", CONTROL_PLANE, server.CONTROL_PLANE),
    ("TaskCommandRouter", COMMAND_ROUTER, server.COMMAND_ROUTER),
)


def page() -> str:
    """The page as Markdown."""
    lines = ["# What localmodal serves", "", "Made by `scripts/coverage.py`. Every other RPC answers UNIMPLEMENTED."]
    for name, descriptor, services in PROTOCOLS:
        methods = [method.name for method in descriptor.services_by_name[name].methods]
        served = sorted(method for method in methods if any(hasattr(service, method) for service in services))
        lines += ["", f"## {name}: {len(served)} of {len(methods)}", "", *(f"- {method}" for method in served)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if "--check" not in sys.argv:
        PAGE.write_text(page())
    elif not PAGE.exists() or PAGE.read_text() != page():
        sys.exit(f"{PAGE} is old; type: python scripts/coverage.py")
