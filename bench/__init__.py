"""Measures what `mngr` costs, beside the same done with the SDK alone. See README.md."""
