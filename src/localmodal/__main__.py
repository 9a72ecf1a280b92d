"""`python -m localmodal`."""

from localmodal.cli import main

main(prog_name="localmodal")
