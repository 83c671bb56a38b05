-- name: listen
LISTEN stored_events; LISTEN apflow_inbox
