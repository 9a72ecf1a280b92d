"""The use cases: what each command does, without click and without modal."""
