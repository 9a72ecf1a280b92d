"""Hosts that are Modal sandboxes."""
