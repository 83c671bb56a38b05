"""The store for several engines: PostgreSQL."""
