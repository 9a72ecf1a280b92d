"""Run coding agents in Modal sandboxes, reached over SSH, with no work ever lost."""

__version__ = "0.1.0"
"""As in pyproject.toml. Asking the installed package takes 40 ms."""
