"""What can be done with a host over SSH."""
