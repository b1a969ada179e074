-- What a minute of a link may not know, and what its camera told of its own clock.
ALTER TABLE link_health ALTER COLUMN round_trip_us DROP NOT NULL;
ALTER TABLE link_health
  ADD COLUMN clock_offset_ms bigint CHECK (clock_offset_ms BETWEEN -300000000000000 AND 300000000000000);
COMMENT ON COLUMN link_health.round_trip_us IS 'Last round trip in microseconds; null where the transport was never asked';
COMMENT ON COLUMN link_health.packets IS 'Packets of the transport that came, those sent again too; at the end of a connection at least those that were handed over';
COMMENT ON COLUMN link_health.window_ms IS 'Window of timely delivery that was in force, in milliseconds; null where complete';
COMMENT ON COLUMN link_health.clock_offset_ms IS 'How far the camera''s own clock was ahead of the server''s, as it had told, in milliseconds (MET-3); null where nothing stood';

-- The relay waits no longer than the recorder: more had no effect.
UPDATE service SET relay_budget_ms = 500 WHERE relay_budget_ms > 500;
ALTER TABLE service DROP CONSTRAINT service_relay_budget_ms_check,
  ADD CONSTRAINT service_relay_budget_ms_check CHECK (relay_budget_ms BETWEEN 0 AND 500);
