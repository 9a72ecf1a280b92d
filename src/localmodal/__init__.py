"""A server that speaks Modal's gRPC protocol on this machine, over podman."""
