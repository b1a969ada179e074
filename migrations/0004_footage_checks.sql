-- Every master is read again at least monthly (INT-5): when each was, and what was found.
ALTER TABLE recording_part
  ADD COLUMN checked_at timestamptz,
  ADD COLUMN finding text CHECK (length(finding) BETWEEN 1 AND 500);
COMMENT ON COLUMN recording_part.checked_at IS 'When its file was last read whole and compared; null before the first time';
COMMENT ON COLUMN recording_part.finding IS 'What disagreed then; null where nothing did';
CREATE INDEX recording_part_to_check ON recording_part (checked_at NULLS FIRST, id) WHERE state = 'closed';
CREATE INDEX recording_part_finding ON recording_part (id) WHERE finding IS NOT NULL;
