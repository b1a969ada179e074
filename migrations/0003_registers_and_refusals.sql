-- Registers are asked by every fact, whatever the act; and refused calls carry addresses, which go when the journal's bodies do (LOG-5), by the same role that can do nothing else.

CREATE FUNCTION purge_refusals(before timestamptz) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE purged bigint;
BEGIN
  IF before > now() - interval '3 years' THEN
    RAISE EXCEPTION 'refusals are kept three years: % is younger', before USING ERRCODE = 'check_violation';
  END IF;
  DELETE FROM refusal WHERE at < before;
  GET DIAGNOSTICS purged = ROW_COUNT;
  RETURN purged;
END $$;
COMMENT ON FUNCTION purge_refusals IS 'Deletes refusals older than three years; refuses anything younger';
REVOKE ALL ON FUNCTION purge_refusals(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION purge_refusals(timestamptz) TO plastron_purger;

CREATE INDEX journal_of_account ON journal (service_id, author, at DESC, position DESC);
CREATE INDEX journal_of_camera ON journal (service_id, (entry->'facts'->>'camera'), at DESC, position DESC)
  WHERE entry->'facts'->>'camera' IS NOT NULL;
CREATE INDEX journal_of_reference ON journal (service_id, (entry->'facts'->>'reference'), at DESC, position DESC)
  WHERE entry->'facts'->>'reference' IS NOT NULL;
CREATE INDEX journal_of_incident ON journal (service_id, (entry->'facts'->>'incident'), at DESC, position DESC)
  WHERE entry->'facts'->>'incident' IS NOT NULL;
CREATE INDEX journal_of_agent ON journal (service_id, (entry->'facts'->>'matricule'), at DESC, position DESC)
  WHERE entry->'facts'->>'matricule' IS NOT NULL;
CREATE INDEX hold_by_reference ON hold (service_id, reference, number DESC, id DESC);
CREATE INDEX hold_by_account ON hold (service_id, placed_by, number DESC, id DESC);
CREATE INDEX journal_refused_account ON journal (service_id, author, at DESC, position DESC)
  WHERE entry->'facts'->>'result' = 'refused';
CREATE INDEX journal_refused_camera ON journal (service_id, (entry->'facts'->>'camera'), at DESC, position DESC)
  WHERE entry->'facts'->>'result' = 'refused' AND entry->'facts'->>'camera' IS NOT NULL;
CREATE INDEX journal_refused_incident ON journal (service_id, (entry->'facts'->>'incident'), at DESC, position DESC)
  WHERE entry->'facts'->>'result' = 'refused' AND entry->'facts'->>'incident' IS NOT NULL;
CREATE INDEX journal_refused_recording ON journal (service_id, (entry->'facts'->>'recording'), at DESC, position DESC)
  WHERE entry->'facts'->>'result' = 'refused' AND entry->'facts'->>'recording' IS NOT NULL;
CREATE INDEX journal_refused_reference ON journal (service_id, (entry->'facts'->>'reference'), at DESC, position DESC)
  WHERE entry->'facts'->>'result' = 'refused' AND entry->'facts'->>'reference' IS NOT NULL;
CREATE INDEX journal_refused_agent ON journal (service_id, (entry->'facts'->>'matricule'), at DESC, position DESC)
  WHERE entry->'facts'->>'result' = 'refused' AND entry->'facts'->>'matricule' IS NOT NULL;
CREATE INDEX data_request_by_camera ON data_request (service_id, camera_id, number DESC, id DESC) WHERE camera_id IS NOT NULL;
CREATE INDEX data_request_by_reference ON data_request (service_id, reference, number DESC, id DESC);
CREATE INDEX journal_of_agent_act ON journal (service_id, act, (entry->'facts'->>'matricule'), at DESC, position DESC)
  WHERE entry->'facts'->>'matricule' IS NOT NULL;
