"""Connections that tasks and webhooks ask for."""
