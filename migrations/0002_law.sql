-- The law's other facts: regimes of a service's own, ended accreditations, holds, procedures, closing answers, erasures that
-- the law orders, requests of persons recorded, second factors, the journal's purge; and indexes for registers of millions.

-- Regimes: a service's own version of its profile (GOV-5).
ALTER TABLE service
  ADD COLUMN term_months smallint,
  ADD COLUMN live_sound boolean,
  ADD COLUMN command_room_may_declare boolean,
  ADD COLUMN wearer_may_extract boolean NOT NULL DEFAULT false;
UPDATE service SET
  term_months = CASE regime WHEN 'pn-gn' THEN 1 WHEN 'pm' THEN 1 WHEN 'ap' THEN 3 ELSE 6 END,
  live_sound = regime = 'pm', command_room_may_declare = regime = 'bwc-six-months';
ALTER TABLE service
  ALTER COLUMN term_months SET NOT NULL, ALTER COLUMN live_sound SET NOT NULL,
  ALTER COLUMN command_room_may_declare SET NOT NULL,
  ADD CHECK (term_months BETWEEN 1 AND CASE regime WHEN 'pn-gn' THEN 1 WHEN 'pm' THEN 1 WHEN 'ap' THEN 3 ELSE 6 END),
  ADD CHECK (NOT wearer_may_extract OR regime = 'pm');
COMMENT ON COLUMN service.term_months IS 'Calendar months that recordings are kept; never above the text''s (RET-1)';
COMMENT ON COLUMN service.live_sound IS 'Sound in the live relay (LIVE-8)';
COMMENT ON COLUMN service.command_room_may_declare IS 'The command room may declare a threat';
COMMENT ON COLUMN service.wearer_may_extract IS 'The wearer may extract; only where the text has it (R241-12 I)';

-- Accreditations end early by an act of their own; nothing else of them changes (ACC-2).
ALTER TABLE accreditation
  ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY,
  ADD COLUMN ended_at timestamptz CHECK (ended_at >= valid_from),
  ADD COLUMN ended_by text,
  ADD COLUMN end_act text CHECK (length(end_act) BETWEEN 1 AND 500);
CREATE INDEX accreditation_by_service ON accreditation (service_id, number DESC);
CREATE INDEX accreditation_by_account ON accreditation (account_id);
COMMENT ON COLUMN accreditation.number IS 'Order in which they were given';
COMMENT ON COLUMN accreditation.ended_at IS 'Ended before its time';
COMMENT ON COLUMN accreditation.ended_by IS 'Who ended it';
COMMENT ON COLUMN accreditation.end_act IS 'Reference of the act by which it was ended';
REVOKE UPDATE ON accreditation FROM plastron_server;
GRANT UPDATE (ended_at, ended_by, end_act) ON accreditation TO plastron_server;

-- Second factor and other ways in (ACC-8).
ALTER TABLE account
  ADD COLUMN totp_sealed bytea CHECK (length(totp_sealed) BETWEEN 38 AND 256),
  ADD COLUMN totp_confirmed_at timestamptz,
  ADD COLUMN totp_last_step bigint CHECK (totp_last_step >= 0);
COMMENT ON COLUMN account.totp_sealed IS 'Secret of the second factor under the master key (RFC 6238)';
COMMENT ON COLUMN account.totp_confirmed_at IS 'Since when a code is asked for; null until the first was right';
COMMENT ON COLUMN account.totp_last_step IS 'Last time step that was used: a code is good once';

CREATE TABLE recovery_code (
  account_id uuid NOT NULL REFERENCES account,
  code_hash  bytea NOT NULL CHECK (length(code_hash) = 32),
  used_at    timestamptz,
  PRIMARY KEY (account_id, code_hash)
);
COMMENT ON TABLE recovery_code IS 'Codes for the day the second factor is lost; each is good once';
COMMENT ON COLUMN recovery_code.account_id IS 'Whose';
COMMENT ON COLUMN recovery_code.code_hash IS 'SHA-256 of the code; the code itself is never stored';
COMMENT ON COLUMN recovery_code.used_at IS 'When it was used';

CREATE TABLE account_identity (
  issuer     text NOT NULL CHECK (length(issuer) BETWEEN 1 AND 500),
  subject    text NOT NULL CHECK (length(subject) BETWEEN 1 AND 255),
  account_id uuid NOT NULL REFERENCES account,
  linked_at  timestamptz NOT NULL,
  PRIMARY KEY (issuer, subject)
);
COMMENT ON TABLE account_identity IS 'A person at an OpenID Connect provider, and the account that is theirs; gives no right by itself';
COMMENT ON COLUMN account_identity.issuer IS 'The provider''s issuer identifier';
COMMENT ON COLUMN account_identity.subject IS 'Subject at that provider';
COMMENT ON COLUMN account_identity.account_id IS 'The account';
COMMENT ON COLUMN account_identity.linked_at IS 'When an administrator linked them';

ALTER TABLE session ADD COLUMN limited boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN session.limited IS 'May only enrol a second factor';

-- Agents attached to an incident (LIVE-3, LIVE-4).
CREATE TABLE attachment (
  incident_id uuid NOT NULL REFERENCES incident,
  agent_id    uuid NOT NULL REFERENCES agent,
  attached_at timestamptz NOT NULL,
  until_at    timestamptz NOT NULL CHECK (until_at > attached_at),
  attached_by text NOT NULL,
  PRIMARY KEY (incident_id, agent_id)
);
COMMENT ON TABLE attachment IS 'An agent involved in an intervention, who may see its live picture; ends with the incident';
COMMENT ON COLUMN attachment.incident_id IS 'Incident';
COMMENT ON COLUMN attachment.agent_id IS 'Agent';
COMMENT ON COLUMN attachment.attached_at IS 'From';
COMMENT ON COLUMN attachment.until_at IS 'Until, at the latest';
COMMENT ON COLUMN attachment.attached_by IS 'Who attached them';

ALTER TABLE incident ADD COLUMN confirmed_until timestamptz;
COMMENT ON COLUMN incident.confirmed_until IS 'A long incident was confirmed to go on until then (REC-4)';

-- What is asked at closing (REC-7, REC-10, MET-1).
ALTER TABLE recording
  ADD COLUMN sort_at timestamptz GENERATED ALWAYS AS (coalesce(started_at, erased_at)) STORED,
  ADD COLUMN place text CHECK (length(place) BETWEEN 1 AND 300),
  ADD COLUMN informed boolean,
  ADD COLUMN not_informed_reason text CHECK (length(not_informed_reason) BETWEEN 1 AND 500),
  ADD COLUMN medical_secret boolean,
  ADD COLUMN answered_by text,
  ADD COLUMN justification text CHECK (length(justification) BETWEEN 1 AND 500),
  ADD COLUMN justified_by text,
  ADD CHECK (informed IS NOT FALSE OR not_informed_reason IS NOT NULL);
COMMENT ON COLUMN recording.sort_at IS 'Start, or once erased the erasure: the order of registers';
COMMENT ON COLUMN recording.place IS 'Place (MET-1); null once erased, or not told: to be justified';
COMMENT ON COLUMN recording.informed IS 'The persons were informed (REC-10); null: not asked yet';
COMMENT ON COLUMN recording.not_informed_reason IS 'Which circumstance forbade it';
COMMENT ON COLUMN recording.medical_secret IS 'Marked as touching medical secrecy (REC-7)';
COMMENT ON COLUMN recording.answered_by IS 'Who answered at closing';
COMMENT ON COLUMN recording.justification IS 'Why agent or place are missing, by an accredited person (MET-1)';
COMMENT ON COLUMN recording.justified_by IS 'Who justified it';

DROP INDEX recording_by_time;
CREATE INDEX recording_by_time ON recording (service_id, sort_at DESC, id DESC);
CREATE INDEX recording_by_camera ON recording (service_id, camera_id, sort_at DESC, id DESC) WHERE camera_id IS NOT NULL;
CREATE INDEX recording_by_agent ON recording (service_id, agent_id, sort_at DESC, id DESC) WHERE agent_id IS NOT NULL;
CREATE INDEX recording_by_state ON recording (service_id, state, sort_at DESC, id DESC);
CREATE INDEX recording_by_incident ON recording (incident_id);
CREATE INDEX recording_undecided ON recording (ended_at) WHERE state = 'closed' AND decode_verdict IS NULL;
CREATE INDEX recording_to_justify ON recording (service_id, sort_at DESC, id DESC)
  WHERE state = 'closed' AND (agent_id IS NULL OR place IS NULL) AND justification IS NULL;
DROP INDEX recording_part_due;
CREATE INDEX recording_part_due ON recording_part (term_day, id);
CREATE INDEX recording_part_erasing ON recording_part (id) WHERE state = 'erasing';
CREATE INDEX recording_part_of_day ON recording_part (service_id, local_day, state);
ALTER TABLE viewing ALTER COLUMN accreditation_id DROP NOT NULL;
CREATE INDEX incident_reference ON incident (service_id, reference) WHERE reference IS NOT NULL;
CREATE INDEX threat_of_incident ON threat_declaration (incident_id);

-- Counts by day, kept as parts come and go: a register of years is counted in days.
CREATE TABLE register_day (
  service_id uuid NOT NULL REFERENCES service,
  local_day  date NOT NULL,
  opened     bigint NOT NULL DEFAULT 0 CHECK (opened >= 0),
  erased     bigint NOT NULL DEFAULT 0 CHECK (erased >= 0),
  PRIMARY KEY (service_id, local_day)
);
COMMENT ON TABLE register_day IS 'How many parts a service recorded on a day, and how many of them are erased';
COMMENT ON COLUMN register_day.service_id IS 'Service';
COMMENT ON COLUMN register_day.local_day IS 'Day of recording in legal time';
COMMENT ON COLUMN register_day.opened IS 'Parts recorded';
COMMENT ON COLUMN register_day.erased IS 'Of them, erased';
INSERT INTO register_day SELECT service_id, local_day, count(*), count(*) FILTER (WHERE state = 'erased')
  FROM recording_part GROUP BY service_id, local_day;

-- Parts: which key wraps them, and where their index lies, changes with a hold.
ALTER TABLE recording_part ADD COLUMN media_bytes bigint NOT NULL DEFAULT 0 CHECK (media_bytes >= 0);
UPDATE recording_part p SET media_bytes = (SELECT coalesce(sum(s.media_bytes), 0) FROM segment s WHERE s.part_id = p.id AND s.term_day = p.term_day);
COMMENT ON COLUMN recording_part.media_bytes IS 'Bytes of the camera indexed so far';
ALTER TABLE recording_part ADD COLUMN key_name text CHECK (length(key_name) BETWEEN 1 AND 100);
UPDATE recording_part SET key_name = to_char(local_day, 'YYYY-MM-DD') WHERE wrapped_key IS NOT NULL;
COMMENT ON COLUMN recording_part.key_name IS 'Day key that wraps the part key: the local day, or held-<recording>; null once erased';

-- What stays of an erased part (RET-4): the part itself goes.
CREATE TABLE erased_part (
  id           uuid PRIMARY KEY,
  recording_id uuid NOT NULL REFERENCES recording,
  service_id   uuid NOT NULL REFERENCES service,
  chain_head   bytea CHECK (length(chain_head) = 32),
  certificate  bigint NOT NULL CHECK (certificate >= 0)
);
CREATE INDEX erased_part_of_recording ON erased_part (recording_id);
COMMENT ON TABLE erased_part IS 'All that is left of a part after its erasure';
COMMENT ON COLUMN erased_part.id IS 'Identifier it had';
COMMENT ON COLUMN erased_part.recording_id IS 'Its recording';
COMMENT ON COLUMN erased_part.service_id IS 'Service';
COMMENT ON COLUMN erased_part.chain_head IS 'Chain hash it ended with';
COMMENT ON COLUMN erased_part.certificate IS 'Position of its certificate in the journal';
INSERT INTO erased_part SELECT p.id, p.recording_id, p.service_id, p.chain_head,
    coalesce(nullif(regexp_replace(r.certificate, '[^0-9]', '', 'g'), '')::bigint, 0)
  FROM recording_part p JOIN recording r ON r.id = p.recording_id WHERE p.state = 'erased';
DELETE FROM recording_part WHERE state = 'erased';

-- Procedures and holds (RET-6, RET-8).
CREATE TABLE procedure_link (
  recording_id uuid NOT NULL REFERENCES recording,
  service_id   uuid NOT NULL REFERENCES service,
  kind         text NOT NULL CHECK (kind IN ('judicial', 'administrative', 'disciplinary')),
  reference    text NOT NULL CHECK (length(reference) BETWEEN 1 AND 200),
  linked_at    timestamptz NOT NULL,
  linked_by    text NOT NULL,
  PRIMARY KEY (recording_id, reference)
);
CREATE INDEX procedure_link_by_reference ON procedure_link (service_id, reference);
COMMENT ON TABLE procedure_link IS 'A recording that an open procedure concerns: its end is announced beforehand';
COMMENT ON COLUMN procedure_link.recording_id IS 'Recording';
COMMENT ON COLUMN procedure_link.service_id IS 'Service';
COMMENT ON COLUMN procedure_link.kind IS 'Kind of procedure';
COMMENT ON COLUMN procedure_link.reference IS 'Its number';
COMMENT ON COLUMN procedure_link.linked_at IS 'When it was linked';
COMMENT ON COLUMN procedure_link.linked_by IS 'Who linked it';

CREATE TABLE hold (
  id              uuid PRIMARY KEY,
  number          bigint GENERATED ALWAYS AS IDENTITY,
  recording_id    uuid NOT NULL REFERENCES recording,
  service_id      uuid NOT NULL REFERENCES service,
  kind            text NOT NULL CHECK (kind IN ('judicial', 'administrative', 'disciplinary')),
  reference       text NOT NULL CHECK (length(reference) BETWEEN 1 AND 200),
  authority       text NOT NULL CHECK (length(authority) BETWEEN 1 AND 200),
  requested_on    date NOT NULL,
  review_on       date NOT NULL,
  placed_at       timestamptz NOT NULL,
  placed_by       text NOT NULL,
  released_at     timestamptz CHECK (released_at >= placed_at),
  released_by     text,
  release_reason  text CHECK (length(release_reason) BETWEEN 1 AND 500),
  CHECK ((released_at IS NULL) = (released_by IS NULL))
);
CREATE INDEX hold_open ON hold (recording_id) WHERE released_at IS NULL;
CREATE INDEX hold_by_service ON hold (service_id, number DESC);
CREATE INDEX hold_of_recording ON hold (recording_id);
COMMENT ON TABLE hold IS 'Keeps a recording past its term for a procedure (RET-6, R241-4 al. 3); goes with the recording';
COMMENT ON COLUMN hold.id IS 'Identifier';
COMMENT ON COLUMN hold.number IS 'Order in which they were placed';
COMMENT ON COLUMN hold.recording_id IS 'What is held';
COMMENT ON COLUMN hold.service_id IS 'Service';
COMMENT ON COLUMN hold.kind IS 'Kind of procedure';
COMMENT ON COLUMN hold.reference IS 'Number of the procedure';
COMMENT ON COLUMN hold.authority IS 'Who asked for it';
COMMENT ON COLUMN hold.requested_on IS 'Date of their request';
COMMENT ON COLUMN hold.review_on IS 'Day on which it is looked at again';
COMMENT ON COLUMN hold.placed_at IS 'Placed: before the term day';
COMMENT ON COLUMN hold.placed_by IS 'Who placed it';
COMMENT ON COLUMN hold.released_at IS 'Released; null while it holds';
COMMENT ON COLUMN hold.released_by IS 'Who released it';
COMMENT ON COLUMN hold.release_reason IS 'Why';

-- Erasures that the law orders (RET-9).
CREATE TABLE legal_erasure (
  id           uuid PRIMARY KEY,
  recording_id uuid NOT NULL REFERENCES recording,
  service_id   uuid NOT NULL REFERENCES service,
  ground       text NOT NULL CHECK (ground IN ('right-of-erasure', 'medical-secret')),
  reference    text NOT NULL CHECK (length(reference) BETWEEN 1 AND 200),
  proposed_by  text NOT NULL,
  proposer     uuid NOT NULL REFERENCES agent,
  proposed_at  timestamptz NOT NULL,
  confirmed_by text,
  confirmed_at timestamptz CHECK (confirmed_at >= proposed_at),
  withdrawn_at timestamptz CHECK (withdrawn_at >= proposed_at),
  CHECK (confirmed_at IS NULL OR withdrawn_at IS NULL)
);
CREATE INDEX legal_erasure_ordered ON legal_erasure (recording_id) WHERE confirmed_at IS NOT NULL;
CREATE UNIQUE INDEX legal_erasure_pending ON legal_erasure (recording_id) WHERE withdrawn_at IS NULL;
COMMENT ON TABLE legal_erasure IS 'An erasure before the term that the law orders, by two named persons (RET-9)';
COMMENT ON COLUMN legal_erasure.id IS 'Identifier';
COMMENT ON COLUMN legal_erasure.recording_id IS 'What is erased';
COMMENT ON COLUMN legal_erasure.service_id IS 'Service';
COMMENT ON COLUMN legal_erasure.ground IS 'Right of erasure (loi 78-17 art. 106) or medical secrecy (L241-3 al. 2)';
COMMENT ON COLUMN legal_erasure.reference IS 'Of the request or decision';
COMMENT ON COLUMN legal_erasure.proposed_by IS 'First person''s account';
COMMENT ON COLUMN legal_erasure.proposer IS 'First person';
COMMENT ON COLUMN legal_erasure.proposed_at IS 'When';
COMMENT ON COLUMN legal_erasure.confirmed_by IS 'Second person''s account';
COMMENT ON COLUMN legal_erasure.confirmed_at IS 'When: erased from then on';
COMMENT ON COLUMN legal_erasure.withdrawn_at IS 'Withdrawn instead';

-- Requests of persons recorded (GOV-2).
CREATE TABLE data_request (
  id          uuid PRIMARY KEY,
  number      bigint GENERATED ALWAYS AS IDENTITY,
  service_id  uuid NOT NULL REFERENCES service,
  kind        text NOT NULL CHECK (kind IN ('access', 'rectification', 'erasure', 'restriction')),
  reference   text NOT NULL CHECK (length(reference) BETWEEN 1 AND 200),
  received_on date NOT NULL,
  due_on      date NOT NULL CHECK (due_on > received_on),
  place       text CHECK (length(place) BETWEEN 1 AND 300),
  camera_id   text CHECK (length(camera_id) <= 64),
  from_at     timestamptz,
  to_at       timestamptz CHECK (to_at > from_at),
  entered_by  text NOT NULL,
  decision    text CHECK (decision IN ('granted', 'partly', 'refused', 'nothing-found')),
  ground      text CHECK (length(ground) BETWEEN 1 AND 500),
  reply       text CHECK (length(reply) BETWEEN 1 AND 4000),
  decided_at  timestamptz,
  decided_by  text,
  CHECK ((decision IS NULL) = (decided_at IS NULL)),
  CHECK (decision IS NULL OR (ground IS NOT NULL AND reply IS NOT NULL))
);
CREATE INDEX data_request_by_service ON data_request (service_id, number DESC);
COMMENT ON TABLE data_request IS 'A request of a person recorded: access, rectification, erasure, restriction (GOV-2, R241-6 IV)';
COMMENT ON COLUMN data_request.id IS 'Identifier';
COMMENT ON COLUMN data_request.number IS 'Order in which they were entered';
COMMENT ON COLUMN data_request.service_id IS 'Service';
COMMENT ON COLUMN data_request.kind IS 'Right that is exercised';
COMMENT ON COLUMN data_request.reference IS 'The service''s own file; the person is named there and not here';
COMMENT ON COLUMN data_request.received_on IS 'Received';
COMMENT ON COLUMN data_request.due_on IS 'Answer due; two months unless the service enters an earlier day';
COMMENT ON COLUMN data_request.place IS 'Place the person says';
COMMENT ON COLUMN data_request.camera_id IS 'Camera the person says';
COMMENT ON COLUMN data_request.from_at IS 'Earliest time the person says';
COMMENT ON COLUMN data_request.to_at IS 'Latest';
COMMENT ON COLUMN data_request.entered_by IS 'Who entered it';
COMMENT ON COLUMN data_request.decision IS 'What was decided';
COMMENT ON COLUMN data_request.ground IS 'On which ground';
COMMENT ON COLUMN data_request.reply IS 'What the person was answered';
COMMENT ON COLUMN data_request.decided_at IS 'When';
COMMENT ON COLUMN data_request.decided_by IS 'By whom';

-- The sweeper's memory: when it last knew what time it was (MET-3).
CREATE TABLE sweeper_clock (
  only_row      boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  swept_at      timestamptz NOT NULL,
  stopped_since timestamptz,
  reason        text CHECK (length(reason) <= 500)
);
COMMENT ON TABLE sweeper_clock IS 'Last time the sweeper saw, so that a jump of the clock is noticed';
COMMENT ON COLUMN sweeper_clock.only_row IS 'There is one row';
COMMENT ON COLUMN sweeper_clock.swept_at IS 'Clock at the last look';
COMMENT ON COLUMN sweeper_clock.stopped_since IS 'Stopped since then, and asks; null while it runs';
COMMENT ON COLUMN sweeper_clock.reason IS 'Why it stopped';

-- Held recordings' index lies apart, so that a term day still goes as a whole.
CREATE TABLE segment_held PARTITION OF segment FOR VALUES IN ('infinity');
COMMENT ON TABLE segment_held IS 'Index of parts that a hold keeps past their term day';
GRANT UPDATE (term_day) ON segment TO plastron_server;

-- Makes and drops partitions; both end with what the server may not do itself.
CREATE OR REPLACE FUNCTION drop_segment_partition(day date) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF day = 'infinity' OR EXISTS (SELECT 1 FROM segment s JOIN recording_part p ON p.id = s.part_id WHERE s.term_day = day) THEN
    RAISE EXCEPTION 'parts of term day % are not erased', day;
  END IF;
  EXECUTE format('DROP TABLE IF EXISTS %I', 'segment_' || to_char(day, 'YYYYMMDD'));
END $$;

CREATE FUNCTION segment_days(until date) RETURNS SETOF date
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog, pg_temp AS $$
  SELECT to_date(substr(c.relname, 9), 'YYYYMMDD') FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  WHERE i.inhparent = 'segment'::regclass AND c.relname ~ '^segment_[0-9]{8}$'
    AND to_date(substr(c.relname, 9), 'YYYYMMDD') <= until ORDER BY 1 $$;
COMMENT ON FUNCTION segment_days IS 'Term days up to a day whose index is still there';

-- The journal's index: bodies go after three years, by a role of its own that can do nothing else (LOG-5).
ALTER TABLE journal ALTER COLUMN entry DROP NOT NULL, ALTER COLUMN author DROP NOT NULL;
CREATE INDEX journal_of_service ON journal (service_id, at DESC, position DESC);
CREATE INDEX journal_of_act ON journal (service_id, act, at DESC, position DESC);
CREATE INDEX journal_of_author ON journal (service_id, act, author, at DESC, position DESC);
CREATE INDEX journal_about_recording ON journal (service_id, (entry->'facts'->>'recording'), at DESC, position DESC)
  WHERE entry->'facts'->>'recording' IS NOT NULL;
CREATE INDEX journal_about_camera ON journal (service_id, act, (entry->'facts'->>'camera'), at DESC, position DESC)
  WHERE entry->'facts'->>'camera' IS NOT NULL;
CREATE INDEX journal_about_reference ON journal (service_id, act, (entry->'facts'->>'reference'), at DESC, position DESC)
  WHERE entry->'facts'->>'reference' IS NOT NULL;
CREATE INDEX journal_refused ON journal (service_id, at DESC, position DESC) WHERE entry->'facts'->>'result' = 'refused';
CREATE INDEX journal_about_incident ON journal ((entry->'facts'->>'incident')) WHERE act = 'incident.close-requested';
CREATE INDEX journal_about_threat ON journal ((entry->'facts'->>'threat')) WHERE act = 'threat.ended';
COMMENT ON COLUMN journal.entry IS 'The entry; null once its body was purged';
COMMENT ON COLUMN journal.author IS 'Who; null once the body was purged';

CREATE FUNCTION purge_journal(before timestamptz) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE purged bigint;
BEGIN
  IF before > now() - interval '3 years' THEN
    RAISE EXCEPTION 'journal entries are kept three years: % is younger', before USING ERRCODE = 'check_violation';
  END IF;
  UPDATE journal SET entry = NULL, author = NULL WHERE at < before AND entry IS NOT NULL;
  GET DIAGNOSTICS purged = ROW_COUNT;
  RETURN purged;
END $$;
COMMENT ON FUNCTION purge_journal IS 'Purges bodies older than three years, salt and all; refuses anything younger';

GRANT SELECT, INSERT, UPDATE ON hold, legal_erasure, data_request, register_day, recovery_code, sweeper_clock TO plastron_server;
GRANT DELETE ON hold, legal_erasure TO plastron_server;
GRANT SELECT, INSERT ON erased_part, account_identity TO plastron_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON attachment, procedure_link TO plastron_server;
GRANT DELETE ON recording_part, account_identity, recovery_code TO plastron_server;
REVOKE ALL ON FUNCTION segment_days(date), purge_journal(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION segment_days(date) TO plastron_server;
GRANT USAGE ON SCHEMA public TO plastron_purger;
GRANT EXECUTE ON FUNCTION purge_journal(timestamptz) TO plastron_purger;
