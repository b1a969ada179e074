-- A connection that is alive and brings nothing any more is ended by the server.
COMMENT ON COLUMN gap.cause IS 'link-lost, stopped-by-sender, server-restart, not-deliverable, lost-in-transport, no-space, encoder, too-fast, silent';
