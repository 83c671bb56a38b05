"""Webhooks: kept in an outbox beside the log, delivered until they are taken."""
