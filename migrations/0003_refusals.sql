-- Refused calls carry addresses: they go when the journal's bodies do (LOG-5), by the same role that can do nothing else.

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
