-- Closed masters may lie in an object store: where each does.
ALTER TABLE recording_part ADD COLUMN place text NOT NULL DEFAULT 'disk' CHECK (place IN ('disk', 'object'));
ALTER TABLE recording_part ADD COLUMN location text CHECK (length(location) BETWEEN 1 AND 500),
  ADD CHECK ((place = 'object') = (location IS NOT NULL));
COMMENT ON COLUMN recording_part.location IS 'Which object store: its address, bucket and prefix; null on a disk';
COMMENT ON COLUMN recording_part.place IS 'disk: below the footage folder; object: in the object store, under the same path';
CREATE INDEX recording_part_to_move ON recording_part (local_day, id) WHERE state = 'closed' AND place = 'disk';
