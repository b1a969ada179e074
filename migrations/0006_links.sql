-- How the links of cameras did, a row a camera and minute; how each camera is to be received; how far its clock is off.

-- Reception: a camera's own settings, and its service's.
ALTER TABLE camera
  ADD COLUMN delivery text NOT NULL DEFAULT 'complete' CHECK (delivery IN ('complete', 'timely')),
  ADD COLUMN window_ms integer CHECK (window_ms BETWEEN 20 AND 8000),
  ADD COLUMN maximum_rate_kbps integer NOT NULL DEFAULT 20000 CHECK (maximum_rate_kbps BETWEEN 100 AND 200000),
  ADD COLUMN clock_offset_ms bigint CHECK (clock_offset_ms BETWEEN -300000000000000 AND 300000000000000),
  ADD COLUMN clock_told_at timestamptz,
  ADD CHECK ((delivery = 'timely') = (window_ms IS NOT NULL)),
  ADD CHECK ((clock_offset_ms IS NULL) = (clock_told_at IS NULL));
COMMENT ON COLUMN camera.delivery IS 'complete: nothing is dropped, however late; timely: by the transport''s clock, with a window';
COMMENT ON COLUMN camera.window_ms IS 'Window of timely delivery in milliseconds; null where delivery is complete';
COMMENT ON COLUMN camera.maximum_rate_kbps IS 'A camera that goes on sending faster than this is refused, in kilobits a second';
COMMENT ON COLUMN camera.clock_offset_ms IS 'How far its clock was ahead of the server''s when it last told, in milliseconds (MET-3); null: it never told';
COMMENT ON COLUMN camera.clock_told_at IS 'When it last told; null: never';
ALTER TABLE service ADD COLUMN relay_budget_ms integer NOT NULL DEFAULT 400 CHECK (relay_budget_ms BETWEEN 0 AND 5000);
COMMENT ON COLUMN service.relay_budget_ms IS 'How long the live relay waits for a missing packet, in milliseconds';

-- MET-3: nothing is re-timed; what is known of the camera's clock stands beside the recording.
ALTER TABLE recording
  ADD COLUMN clock_offset_ms bigint CHECK (clock_offset_ms BETWEEN -300000000000000 AND 300000000000000),
  ADD COLUMN clock_off boolean NOT NULL DEFAULT false,
  ADD CHECK (NOT clock_off OR clock_offset_ms IS NOT NULL);
COMMENT ON COLUMN recording.clock_offset_ms IS 'How far the camera''s clock was ahead of the server''s, in milliseconds, at the start or when first told; null: unknown, or once erased';
COMMENT ON COLUMN recording.clock_off IS 'The camera''s clock was off by more than the bound (2 s) at some time of the recording';

ALTER TABLE gap ADD COLUMN missing_packets bigint NOT NULL DEFAULT 0 CHECK (missing_packets >= 0);
COMMENT ON COLUMN gap.missing_packets IS 'Packets that never came, where they were counted; 0: not counted';
COMMENT ON COLUMN gap.cause IS 'link-lost, stopped-by-sender, server-restart, not-deliverable, lost-in-transport, no-space, encoder, too-fast';

-- Operational, and a fact of the recording: thirty days, and never longer than the recording itself.
CREATE TABLE link_health (
  day               date NOT NULL CHECK (day BETWEEN '1970-01-01' AND '9999-12-31'),
  camera_id         text NOT NULL CHECK (length(camera_id) BETWEEN 1 AND 64),
  recording_id      uuid NOT NULL,
  minute_at         timestamptz NOT NULL CHECK (extract(second FROM minute_at) = 0),
  until_at          timestamptz NOT NULL CHECK (until_at >= minute_at),
  measured_ms       bigint NOT NULL CHECK (measured_ms >= 0),
  connections       bigint NOT NULL CHECK (connections >= 0),
  packets           bigint NOT NULL CHECK (packets >= 0),
  bytes             bigint NOT NULL CHECK (bytes >= 0),
  lost              bigint NOT NULL CHECK (lost >= 0),
  retransmitted     bigint NOT NULL CHECK (retransmitted >= 0),
  duplicates        bigint NOT NULL CHECK (duplicates >= 0),
  missing           bigint NOT NULL CHECK (missing >= 0),
  round_trip_us     bigint NOT NULL CHECK (round_trip_us >= 0),
  sender_latency_ms bigint NOT NULL CHECK (sender_latency_ms >= 0),
  delivery          text NOT NULL CHECK (delivery IN ('complete', 'timely')),
  window_ms         integer CHECK (window_ms >= 0),
  lag_ms            bigint CHECK (lag_ms >= 0),
  drift_ppb         bigint CHECK (drift_ppb BETWEEN -1000000000 AND 1000000000),
  clock_restarts    bigint NOT NULL CHECK (clock_restarts >= 0),
  discontinuities   bigint NOT NULL CHECK (discontinuities >= 0),
  foreign_messages  bigint NOT NULL CHECK (foreign_messages >= 0),
  PRIMARY KEY (day, camera_id, minute_at, recording_id),
  CHECK ((delivery = 'timely') = (window_ms IS NOT NULL))
) PARTITION BY LIST (day);
CREATE INDEX link_health_of_recording ON link_health (recording_id);
COMMENT ON TABLE link_health IS 'How the link of a camera did in a minute of a recording; a partition a local day, dropped whole, and erased with the recording';
COMMENT ON COLUMN link_health.day IS 'Local day of the minute';
COMMENT ON COLUMN link_health.camera_id IS 'Camera';
COMMENT ON COLUMN link_health.recording_id IS 'Recording (no foreign key: a partition goes as a whole)';
COMMENT ON COLUMN link_health.minute_at IS 'Begin of the minute';
COMMENT ON COLUMN link_health.until_at IS 'End of the newest report that was added';
COMMENT ON COLUMN link_health.measured_ms IS 'How much of it was measured, in milliseconds';
COMMENT ON COLUMN link_health.connections IS 'Connections that began';
COMMENT ON COLUMN link_health.packets IS 'Packets of the transport that came, those sent again too';
COMMENT ON COLUMN link_health.bytes IS 'Bytes in them';
COMMENT ON COLUMN link_health.lost IS 'Packets that were noticed missing, whether or not they came later';
COMMENT ON COLUMN link_health.retransmitted IS 'Packets that came by being sent again';
COMMENT ON COLUMN link_health.duplicates IS 'Packets that came twice, or too late for any use';
COMMENT ON COLUMN link_health.missing IS 'Packets that never came';
COMMENT ON COLUMN link_health.round_trip_us IS 'Last round trip in microseconds';
COMMENT ON COLUMN link_health.sender_latency_ms IS 'Latency that the sender was set to, in milliseconds';
COMMENT ON COLUMN link_health.delivery IS 'How it was received: complete or timely';
COMMENT ON COLUMN link_health.window_ms IS 'Window of timely delivery in milliseconds; null where complete';
COMMENT ON COLUMN link_health.lag_ms IS 'Longest lag behind the stream''s own clock, in milliseconds; null without a program clock';
COMMENT ON COLUMN link_health.drift_ppb IS 'How fast the stream''s clock ran against the server''s, in thousand-millionths; null while too little was seen';
COMMENT ON COLUMN link_health.clock_restarts IS 'Jumps of the program clock that no lost packet explains';
COMMENT ON COLUMN link_health.discontinuities IS 'Packets whose counter jumps though nothing was lost: the encoder left something out';
COMMENT ON COLUMN link_health.foreign_messages IS 'Messages that were not whole transport stream packets';

CREATE FUNCTION ensure_link_health_partition(day date) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF link_health FOR VALUES IN (%L)',
                 'link_health_' || to_char(day, 'YYYYMMDD'), day);
END $$;
COMMENT ON FUNCTION ensure_link_health_partition IS 'Makes the partition of a local day; the server has no right to create tables itself';

CREATE FUNCTION drop_link_health(before date) RETURNS integer
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS $$
DECLARE
  old name;
  dropped integer := 0;
BEGIN
  FOR old IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'link_health'::regclass AND c.relname ~ '^link_health_[0-9]{8}$'
      AND to_date(substr(c.relname, 13), 'YYYYMMDD') < before
  LOOP
    EXECUTE format('DROP TABLE %I', old);
    dropped := dropped + 1;
  END LOOP;
  RETURN dropped;
END $$;
COMMENT ON FUNCTION drop_link_health IS 'Drops the link health of the local days before one; returns how many days that were';

GRANT SELECT, INSERT, UPDATE, DELETE ON link_health TO plastron_server;
REVOKE ALL ON FUNCTION ensure_link_health_partition(date), drop_link_health(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_link_health_partition(date), drop_link_health(date) TO plastron_server;
