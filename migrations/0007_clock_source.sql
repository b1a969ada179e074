-- MET-3: where what stands beside a recording of its camera's clock came from: the device API, or the stream itself.
ALTER TABLE recording ADD COLUMN clock_source text CHECK (clock_source IN ('device', 'klv', 'picture'));
-- Until now nobody else could tell.
UPDATE recording SET clock_source = 'device' WHERE clock_offset_ms IS NOT NULL;
ALTER TABLE recording ADD CHECK ((clock_source IS NULL) = (clock_offset_ms IS NULL));
COMMENT ON COLUMN recording.clock_source IS 'Who said it: device (the device API), klv (metadata beside the pictures), picture (a time stamp in them); null where the offset is';
COMMENT ON COLUMN recording.clock_offset_ms IS 'How far the camera''s clock was ahead of the server''s, in milliseconds, at the start or when first known; what the stream says includes its way; null: unknown, or once erased';
