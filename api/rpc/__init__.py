"""JSON-RPC 2.0: the old system's methods, on the same commands as REST."""
