"""What runs in the sandboxes: the types of agents."""
