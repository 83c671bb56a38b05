"""The event journal on `eventsourcing`: SQLite, PostgreSQL, memory."""
