"""Run coding agents in Modal sandboxes, reached over SSH, with no work ever lost."""
