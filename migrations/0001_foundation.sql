-- The register of Plastron: services, people, cameras, incidents, recordings and their index.
-- Times are timestamptz with microseconds; the helpers at_us and us carry them as integers of microseconds.
-- The role plastron_server must exist (plastron migrate makes it where it may); it never owns a table.

CREATE FUNCTION at_us(microseconds bigint) RETURNS timestamptz
  LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT timestamptz 'epoch' + microseconds * interval '1 microsecond' $$;
COMMENT ON FUNCTION at_us IS 'Time from microseconds since 1970-01-01T00:00:00Z, exact';

CREATE FUNCTION us(moment timestamptz) RETURNS bigint
  LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT (extract(epoch FROM moment) * 1000000)::bigint $$;
COMMENT ON FUNCTION us IS 'Microseconds since 1970-01-01T00:00:00Z, exact';

CREATE TABLE node (
  id         uuid PRIMARY KEY,
  name       text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 64),
  started_at timestamptz NOT NULL
);
COMMENT ON TABLE node IS 'A machine that runs Plastron; owns the recordings it wrote';
COMMENT ON COLUMN node.id IS 'Identifier';
COMMENT ON COLUMN node.name IS 'Host name, as configured';
COMMENT ON COLUMN node.started_at IS 'Last start of its keeper';

CREATE TABLE service (
  id                  uuid PRIMARY KEY,
  name                text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 200),
  regime              text NOT NULL CHECK (regime IN ('bwc-six-months', 'pn-gn', 'pm', 'sp', 'ap')),
  regime_version      integer NOT NULL CHECK (regime_version >= 1),
  authorising_act     text NOT NULL CHECK (length(authorising_act) BETWEEN 1 AND 500),
  authorising_date    date NOT NULL,
  authorised_cameras  integer CHECK (authorised_cameras BETWEEN 1 AND 100000),
  created_at          timestamptz NOT NULL
);
COMMENT ON TABLE service IS 'A police or fire unit that owns cameras, people and footage';
COMMENT ON COLUMN service.id IS 'Identifier';
COMMENT ON COLUMN service.name IS 'Name shown';
COMMENT ON COLUMN service.regime IS 'Legal profile: term, live sound, who may declare a threat';
COMMENT ON COLUMN service.regime_version IS 'Version of the profile in force';
COMMENT ON COLUMN service.authorising_act IS 'Reference of the act that authorises the processing (AIPD, arrêté, engagement CNIL)';
COMMENT ON COLUMN service.authorising_date IS 'Date of that act';
COMMENT ON COLUMN service.authorised_cameras IS 'Authorised number of cameras (R241-8 II, R241-18 III); null where the regime does not count them';
COMMENT ON COLUMN service.created_at IS 'When it was entered';

CREATE TABLE agent (
  id         uuid PRIMARY KEY,
  service_id uuid NOT NULL REFERENCES service,
  matricule  text NOT NULL CHECK (length(matricule) BETWEEN 1 AND 64),
  name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  rank       text NOT NULL CHECK (length(rank) BETWEEN 1 AND 100),
  UNIQUE (service_id, matricule)
);
COMMENT ON TABLE agent IS 'A person of a service';
COMMENT ON COLUMN agent.id IS 'Identifier';
COMMENT ON COLUMN agent.service_id IS 'Service the agent belongs to';
COMMENT ON COLUMN agent.matricule IS 'Registration number';
COMMENT ON COLUMN agent.name IS 'Name';
COMMENT ON COLUMN agent.rank IS 'Rank';

CREATE TABLE account (
  id              uuid PRIMARY KEY,
  name            text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9._-]{1,63}$'),
  agent_id        uuid NOT NULL REFERENCES agent,
  password_hash   text NOT NULL CHECK (password_hash LIKE 'scrypt$%'),
  failed_attempts integer NOT NULL DEFAULT 0 CHECK (failed_attempts >= 0),
  locked_until    timestamptz,
  disabled_at     timestamptz,
  created_at      timestamptz NOT NULL
);
COMMENT ON TABLE account IS 'A named way in for one person; never shared (ACC-8)';
COMMENT ON COLUMN account.id IS 'Identifier';
COMMENT ON COLUMN account.name IS 'Log-in name';
COMMENT ON COLUMN account.agent_id IS 'The person';
COMMENT ON COLUMN account.password_hash IS 'scrypt$log2N$r$p$salt$hash, base64';
COMMENT ON COLUMN account.failed_attempts IS 'Wrong passwords since the last right one';
COMMENT ON COLUMN account.locked_until IS 'Log-in refused until then';
COMMENT ON COLUMN account.disabled_at IS 'Closed since then';
COMMENT ON COLUMN account.created_at IS 'When it was made';

CREATE TABLE session (
  token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
  account_id uuid NOT NULL REFERENCES account,
  created_at timestamptz NOT NULL,
  used_at    timestamptz NOT NULL,
  expires_at timestamptz NOT NULL CHECK (expires_at > created_at)
);
COMMENT ON TABLE session IS 'A log-in that is in force';
COMMENT ON COLUMN session.token_hash IS 'SHA-256 of the token; the token itself is never stored';
COMMENT ON COLUMN session.account_id IS 'Who';
COMMENT ON COLUMN session.created_at IS 'Log-in';
COMMENT ON COLUMN session.used_at IS 'Last use, for the idle limit';
COMMENT ON COLUMN session.expires_at IS 'Absolute limit';

CREATE TABLE accreditation (
  id          uuid PRIMARY KEY,
  account_id  uuid NOT NULL REFERENCES account,
  service_id  uuid NOT NULL REFERENCES service,
  role        text NOT NULL CHECK (role IN ('wearer', 'operator', 'head', 'reader', 'auditor', 'administrator')),
  act         text NOT NULL CHECK (length(act) BETWEEN 1 AND 500),
  given_by    text NOT NULL,
  valid_from  timestamptz NOT NULL,
  valid_until timestamptz NOT NULL,
  CHECK (valid_until > valid_from)
);
COMMENT ON TABLE accreditation IS 'Who may do what, where, from when to when, by whose act (ACC-1); never deleted';
COMMENT ON COLUMN accreditation.id IS 'Identifier';
COMMENT ON COLUMN accreditation.account_id IS 'Who';
COMMENT ON COLUMN accreditation.service_id IS 'Where';
COMMENT ON COLUMN accreditation.role IS 'As what';
COMMENT ON COLUMN accreditation.act IS 'Reference of the act by which it was given';
COMMENT ON COLUMN accreditation.given_by IS 'Who gave it';
COMMENT ON COLUMN accreditation.valid_from IS 'From, inclusive';
COMMENT ON COLUMN accreditation.valid_until IS 'Until, exclusive';

CREATE TABLE camera (
  id                text PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
  service_id        uuid NOT NULL REFERENCES service,
  model             text NOT NULL CHECK (length(model) <= 200),
  passphrase_sealed bytea NOT NULL CHECK (length(passphrase_sealed) BETWEEN 38 AND 256),
  token_hash        bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
  enabled           boolean NOT NULL,
  enrolled_at       timestamptz NOT NULL
);
COMMENT ON TABLE camera IS 'An enrolled device; no other is recorded (STO-6)';
COMMENT ON COLUMN camera.id IS 'Short name, the u= of its stream id';
COMMENT ON COLUMN camera.service_id IS 'Service that supplies it';
COMMENT ON COLUMN camera.model IS 'Maker and model';
COMMENT ON COLUMN camera.passphrase_sealed IS 'SRT passphrase under the master key: nonce, ciphertext, tag';
COMMENT ON COLUMN camera.token_hash IS 'SHA-256 of the device API token';
COMMENT ON COLUMN camera.enabled IS 'False: refused until enabled again';
COMMENT ON COLUMN camera.enrolled_at IS 'When it was enrolled';

CREATE TABLE camera_issue (
  id          uuid PRIMARY KEY,
  camera_id   text NOT NULL REFERENCES camera,
  agent_id    uuid NOT NULL REFERENCES agent,
  issued_at   timestamptz NOT NULL,
  issued_by   text NOT NULL,
  returned_at timestamptz CHECK (returned_at >= issued_at)
);
CREATE UNIQUE INDEX camera_issue_open ON camera_issue (camera_id) WHERE returned_at IS NULL;
COMMENT ON TABLE camera_issue IS 'Perception and réintégration: between the two a camera is issued (MET-2)';
COMMENT ON COLUMN camera_issue.id IS 'Identifier';
COMMENT ON COLUMN camera_issue.camera_id IS 'The camera';
COMMENT ON COLUMN camera_issue.agent_id IS 'The agent who wears it';
COMMENT ON COLUMN camera_issue.issued_at IS 'Handed over';
COMMENT ON COLUMN camera_issue.issued_by IS 'Account or administrator who entered it';
COMMENT ON COLUMN camera_issue.returned_at IS 'Given back; null while issued';

CREATE TABLE incident (
  id            uuid PRIMARY KEY,
  service_id    uuid NOT NULL REFERENCES service,
  camera_id     text,
  agent_id      uuid,
  reference     text CHECK (length(reference) <= 128),
  activation    text CHECK (length(activation) <= 128),
  opened_by     text CHECK (opened_by IN ('wearer')),
  opened_at     timestamptz,
  closed_at     timestamptz CHECK (closed_at >= opened_at),
  closing_cause text,
  closed_by     text
);
CREATE INDEX incident_open ON incident (service_id) WHERE closed_at IS NULL AND opened_at IS NOT NULL;
COMMENT ON TABLE incident IS 'The legal ground of a recording (REC-1, REC-5)';
COMMENT ON COLUMN incident.id IS 'Identifier';
COMMENT ON COLUMN incident.service_id IS 'Service';
COMMENT ON COLUMN incident.camera_id IS 'Camera; null once erased';
COMMENT ON COLUMN incident.agent_id IS 'Wearer; null once erased';
COMMENT ON COLUMN incident.reference IS 'Intervention reference, if the camera sent one';
COMMENT ON COLUMN incident.activation IS 'Activation id, if the camera sent one';
COMMENT ON COLUMN incident.opened_by IS 'Kind of trigger';
COMMENT ON COLUMN incident.opened_at IS 'Opened; null once erased';
COMMENT ON COLUMN incident.closed_at IS 'Closed; null while active or once erased';
COMMENT ON COLUMN incident.closing_cause IS 'Why it was closed';
COMMENT ON COLUMN incident.closed_by IS 'Who closed it, where a person did';

CREATE TABLE recording (
  id             uuid PRIMARY KEY,
  incident_id    uuid NOT NULL REFERENCES incident,
  service_id     uuid NOT NULL REFERENCES service,
  node_id        uuid NOT NULL REFERENCES node,
  camera_id      text,
  agent_id       uuid,
  started_at     timestamptz,
  ended_at       timestamptz,
  size_bytes     bigint CHECK (size_bytes >= 0),
  state          text NOT NULL CHECK (state IN ('open', 'closed', 'erased')),
  damage_count   bigint CHECK (damage_count >= 0),
  decode_verdict text CHECK (decode_verdict IN ('decodes', 'does-not')),
  decode_detail  text CHECK (length(decode_detail) <= 500),
  erased_at      timestamptz,
  certificate    text
);
CREATE INDEX recording_by_time ON recording (service_id, started_at DESC, id);
COMMENT ON TABLE recording IS 'The one master of one camera in one incident (STO-1)';
COMMENT ON COLUMN recording.id IS 'Identifier';
COMMENT ON COLUMN recording.incident_id IS 'Its incident';
COMMENT ON COLUMN recording.service_id IS 'Service';
COMMENT ON COLUMN recording.node_id IS 'Node that holds it';
COMMENT ON COLUMN recording.camera_id IS 'Camera (MET-1); null once erased';
COMMENT ON COLUMN recording.agent_id IS 'Wearer (MET-1); null once erased';
COMMENT ON COLUMN recording.started_at IS 'First connection; null once erased';
COMMENT ON COLUMN recording.ended_at IS 'Close; null while open or once erased';
COMMENT ON COLUMN recording.size_bytes IS 'Bytes the camera sent that are kept; null once erased';
COMMENT ON COLUMN recording.state IS 'open, closed or erased';
COMMENT ON COLUMN recording.damage_count IS 'Packets that were not whole transport stream packets; null once erased';
COMMENT ON COLUMN recording.decode_verdict IS 'Whether its key frames decode; null: not checked';
COMMENT ON COLUMN recording.decode_detail IS 'What the check saw, or where it failed; null once erased';
COMMENT ON COLUMN recording.erased_at IS 'When it was erased';
COMMENT ON COLUMN recording.certificate IS 'Position of the erasure certificate in the journal';

CREATE TABLE recording_part (
  id             uuid PRIMARY KEY,
  recording_id   uuid NOT NULL REFERENCES recording,
  service_id     uuid NOT NULL REFERENCES service,
  number         integer NOT NULL CHECK (number >= 1),
  local_day      date NOT NULL,
  term_day       date NOT NULL CHECK (term_day > local_day),
  regime         text NOT NULL,
  regime_version integer NOT NULL CHECK (regime_version >= 1),
  wrapped_key    bytea CHECK (length(wrapped_key) = 60),
  path           text,
  state          text NOT NULL CHECK (state IN ('open', 'closed', 'erasing', 'erased')),
  chunk_count    bigint NOT NULL DEFAULT 0 CHECK (chunk_count >= 0),
  chain_head     bytea CHECK (length(chain_head) = 32),
  file_bytes     bigint NOT NULL DEFAULT 0 CHECK (file_bytes >= 0)
);
CREATE UNIQUE INDEX recording_part_number ON recording_part (recording_id, number);
CREATE INDEX recording_part_due ON recording_part (term_day) WHERE state <> 'erased';
COMMENT ON TABLE recording_part IS 'What a recording holds of one local day: one file, one key, one term';
COMMENT ON COLUMN recording_part.id IS 'Identifier, and the name of the file';
COMMENT ON COLUMN recording_part.recording_id IS 'Its recording';
COMMENT ON COLUMN recording_part.service_id IS 'Service; with the day it names the day key';
COMMENT ON COLUMN recording_part.number IS '1, 2, ... in the recording';
COMMENT ON COLUMN recording_part.local_day IS 'Day of recording in legal time (RET-2)';
COMMENT ON COLUMN recording_part.term_day IS 'Day of erasure (RET-3)';
COMMENT ON COLUMN recording_part.regime IS 'Regime in force on the day';
COMMENT ON COLUMN recording_part.regime_version IS 'Its version';
COMMENT ON COLUMN recording_part.wrapped_key IS 'Part key under the day key; null once erased';
COMMENT ON COLUMN recording_part.path IS 'File below the footage folder; null once erased';
COMMENT ON COLUMN recording_part.state IS 'open, closed, erasing (begun, to be resumed) or erased';
COMMENT ON COLUMN recording_part.chunk_count IS 'Chunks indexed';
COMMENT ON COLUMN recording_part.chain_head IS 'Chain hash after the last indexed chunk; stays after erasure';
COMMENT ON COLUMN recording_part.file_bytes IS 'File length after the last indexed chunk';

CREATE TABLE segment (
  part_id       uuid NOT NULL,
  term_day      date NOT NULL,
  first_chunk   bigint NOT NULL CHECK (first_chunk >= 0),
  last_chunk    bigint NOT NULL CHECK (last_chunk >= first_chunk),
  epoch         integer NOT NULL CHECK (epoch >= 1),
  first_arrival timestamptz NOT NULL,
  last_arrival  timestamptz NOT NULL,
  media_bytes   bigint NOT NULL CHECK (media_bytes >= 0),
  file_offset   bigint NOT NULL CHECK (file_offset >= 0),
  file_bytes    bigint NOT NULL CHECK (file_bytes > 0),
  chain_head    bytea NOT NULL CHECK (length(chain_head) = 32),
  chunk_table   bytea NOT NULL,
  PRIMARY KEY (term_day, part_id, first_chunk)
) PARTITION BY LIST (term_day);
COMMENT ON TABLE segment IS 'Index of some ten seconds of a part; a partition a term day, dropped whole';
COMMENT ON COLUMN segment.part_id IS 'Part (no foreign key: a partition goes as a whole)';
COMMENT ON COLUMN segment.term_day IS 'Term day of the part';
COMMENT ON COLUMN segment.first_chunk IS 'Index of the first chunk';
COMMENT ON COLUMN segment.last_chunk IS 'Index of the last chunk';
COMMENT ON COLUMN segment.epoch IS 'Connection of the camera inside the recording';
COMMENT ON COLUMN segment.first_arrival IS 'Arrival of the first packet';
COMMENT ON COLUMN segment.last_arrival IS 'Arrival of the last packet';
COMMENT ON COLUMN segment.media_bytes IS 'Bytes of the camera in it';
COMMENT ON COLUMN segment.file_offset IS 'Offset of the first chunk in the file';
COMMENT ON COLUMN segment.file_bytes IS 'Length of all its chunks in the file';
COMMENT ON COLUMN segment.chain_head IS 'Chain hash after the last chunk';
COMMENT ON COLUMN segment.chunk_table IS 'Per chunk, big-endian: length (32), kind (8), marks (8), arrival offset in ms (32)';

CREATE FUNCTION ensure_segment_partition(day date) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF segment FOR VALUES IN (%L)',
                 'segment_' || to_char(day, 'YYYYMMDD'), day);
END $$;
COMMENT ON FUNCTION ensure_segment_partition IS 'Makes the partition of a term day; the server has no right to create tables itself';

CREATE FUNCTION drop_segment_partition(day date) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM recording_part WHERE term_day = day AND state <> 'erased') THEN
    RAISE EXCEPTION 'parts of term day % are not erased', day;
  END IF;
  EXECUTE format('DROP TABLE IF EXISTS %I', 'segment_' || to_char(day, 'YYYYMMDD'));
END $$;
COMMENT ON FUNCTION drop_segment_partition IS 'Drops the index of a term day whose parts are all erased';

CREATE TABLE gap (
  part_id uuid NOT NULL REFERENCES recording_part,
  chunk   bigint NOT NULL CHECK (chunk >= 0),
  from_at timestamptz NOT NULL,
  to_at   timestamptz NOT NULL CHECK (to_at >= from_at),
  cause   text NOT NULL CHECK (length(cause) BETWEEN 1 AND 100),
  PRIMARY KEY (part_id, chunk)
);
COMMENT ON TABLE gap IS 'A time of a recording that is not there, with its cause (INT-6)';
COMMENT ON COLUMN gap.part_id IS 'Part';
COMMENT ON COLUMN gap.chunk IS 'Index of the gap chunk that says so in the file';
COMMENT ON COLUMN gap.from_at IS 'From';
COMMENT ON COLUMN gap.to_at IS 'To';
COMMENT ON COLUMN gap.cause IS 'link-lost, stopped-by-sender, server-restart, not-deliverable, lost-in-transport, no-space';

CREATE TABLE threat_declaration (
  id          uuid PRIMARY KEY,
  incident_id uuid NOT NULL REFERENCES incident,
  origin      text NOT NULL CHECK (origin IN ('wearer', 'command-room')),
  author      text NOT NULL,
  ground      text NOT NULL CHECK (ground IN ('agents', 'persons', 'property')),
  reason      text CHECK (length(reason) <= 500),
  opened_at   timestamptz NOT NULL,
  closed_at   timestamptz CHECK (closed_at >= opened_at),
  CHECK (origin = 'wearer' OR reason IS NOT NULL)
);
CREATE UNIQUE INDEX threat_open ON threat_declaration (incident_id) WHERE closed_at IS NULL;
COMMENT ON TABLE threat_declaration IS 'Immediate risk to agents, persons or property: opens the live relay (LIVE-1, LIVE-2)';
COMMENT ON COLUMN threat_declaration.id IS 'Identifier';
COMMENT ON COLUMN threat_declaration.incident_id IS 'Incident';
COMMENT ON COLUMN threat_declaration.origin IS 'Who declared: the wearer or the command room';
COMMENT ON COLUMN threat_declaration.author IS 'Agent or account';
COMMENT ON COLUMN threat_declaration.ground IS 'What is threatened';
COMMENT ON COLUMN threat_declaration.reason IS 'Reason in words; the command room must give one';
COMMENT ON COLUMN threat_declaration.opened_at IS 'Declared';
COMMENT ON COLUMN threat_declaration.closed_at IS 'Ended; null while open';

CREATE TABLE viewing (
  id               uuid PRIMARY KEY,
  recording_id     uuid NOT NULL REFERENCES recording,
  account_id       uuid NOT NULL REFERENCES account,
  accreditation_id uuid NOT NULL REFERENCES accreditation,
  kind             text NOT NULL CHECK (kind IN ('live', 'extraction', 'decode-check')),
  joined_at        timestamptz NOT NULL,
  left_at          timestamptz CHECK (left_at >= joined_at)
);
CREATE INDEX viewing_by_recording ON viewing (recording_id);
COMMENT ON TABLE viewing IS 'One person watching or extracting, from join to leave (LIVE-7)';
COMMENT ON COLUMN viewing.id IS 'Identifier';
COMMENT ON COLUMN viewing.recording_id IS 'What';
COMMENT ON COLUMN viewing.account_id IS 'Who';
COMMENT ON COLUMN viewing.accreditation_id IS 'On which basis (ACC-2)';
COMMENT ON COLUMN viewing.kind IS 'live, extraction or decode-check';
COMMENT ON COLUMN viewing.joined_at IS 'Join: before the first byte';
COMMENT ON COLUMN viewing.left_at IS 'Leave; null while watching';

CREATE TABLE refusal (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at         timestamptz NOT NULL,
  camera_id  text CHECK (length(camera_id) <= 128),
  service_id uuid REFERENCES service,
  peer       text NOT NULL CHECK (length(peer) <= 100),
  code       text NOT NULL CHECK (length(code) <= 64),
  sentence   text NOT NULL CHECK (length(sentence) <= 500),
  proven     boolean NOT NULL,
  count      bigint NOT NULL CHECK (count >= 1)
);
CREATE INDEX refusal_by_time ON refusal (at DESC);
COMMENT ON TABLE refusal IS 'A stream that was not admitted or was ended, with the true reason';
COMMENT ON COLUMN refusal.id IS 'Identifier';
COMMENT ON COLUMN refusal.at IS 'When';
COMMENT ON COLUMN refusal.camera_id IS 'Camera named by the caller; claimed only, where proven is false';
COMMENT ON COLUMN refusal.service_id IS 'Service of that camera, if it is enrolled';
COMMENT ON COLUMN refusal.peer IS 'Address and port of the caller';
COMMENT ON COLUMN refusal.code IS 'Short name of the reason';
COMMENT ON COLUMN refusal.sentence IS 'What was refused, why, and what to do';
COMMENT ON COLUMN refusal.proven IS 'The caller proved the camera''s passphrase';
COMMENT ON COLUMN refusal.count IS 'How many of the same kind this line stands for';

CREATE TABLE journal (
  position bigint PRIMARY KEY CHECK (position >= 0),
  at       timestamptz NOT NULL,
  kind     text NOT NULL CHECK (kind IN ('collection', 'modification', 'consultation', 'communication', 'erasure', 'statement')),
  act      text NOT NULL,
  author   text NOT NULL,
  service_id text,
  entry    jsonb NOT NULL,
  leaf     bytea NOT NULL CHECK (length(leaf) = 32)
);
CREATE INDEX journal_by_act ON journal (act, at);
COMMENT ON TABLE journal IS 'Index of the journal; the truth is in the journal''s files (LOG-1, LOG-6)';
COMMENT ON COLUMN journal.position IS 'Position in the Merkle tree, from 0';
COMMENT ON COLUMN journal.at IS 'Time of the act';
COMMENT ON COLUMN journal.kind IS 'Kind of operation (R241-5)';
COMMENT ON COLUMN journal.act IS 'Which act';
COMMENT ON COLUMN journal.author IS 'Who';
COMMENT ON COLUMN journal.service_id IS 'Service, as text';
COMMENT ON COLUMN journal.entry IS 'The entry';
COMMENT ON COLUMN journal.leaf IS 'RFC 6962 leaf hash of the canonical bytes';

GRANT USAGE ON SCHEMA public TO plastron_server;
GRANT SELECT ON schema_migration TO plastron_server;
GRANT SELECT, INSERT, UPDATE ON node, service, agent, account, accreditation, camera, camera_issue,
  incident, recording, recording_part, threat_declaration, viewing, refusal TO plastron_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON session TO plastron_server;
GRANT SELECT, INSERT, DELETE ON segment, gap TO plastron_server;
GRANT DELETE ON threat_declaration, viewing TO plastron_server;
GRANT SELECT, INSERT ON journal TO plastron_server;
REVOKE ALL ON FUNCTION ensure_segment_partition(date), drop_segment_partition(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_segment_partition(date), drop_segment_partition(date) TO plastron_server;
