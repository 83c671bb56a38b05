"""Calls of gRPC services that this program was not built for."""
