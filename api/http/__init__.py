"""The HTTP face: REST, streams, JSON-RPC, and what guards them."""
