"""Containers on this machine, by the API of the Docker engine."""
