import Doctrine

/// How one view of the register is read: from an index in its order, a page at a time, whatever its size.
///
/// A page is taken stratum by stratum (a service, and where a view needs it one act or one agent): within each the
/// index has the order of the page, so the cost is that of the page and not of the register.
struct ViewDefinition: Sendable {
  struct Column: Sendable {
    var name: String
    var kind: RegisterPage.Kind
    var sql: String

    init(_ name: String, _ kind: RegisterPage.Kind, _ sql: String) {
      self.name = name
      self.kind = kind
      self.sql = sql
    }
  }

  /// What the second value of a stratum is.
  enum Stratum: Sendable {
    case none
    case acts([String])
    /// The agents that the filter names; none where it names none.
    case agents
  }

  /// Table and alias, such as `recording r`.
  var table: String
  var alias: String
  /// Condition that ties a row to its service, with `s.service` (text).
  var inService: String
  /// Condition with `s.value`, where the stratum has one.
  var inStratum: String?
  var stratum: Stratum = .none
  /// The two columns of the order, newest first, as microseconds or numbers, and as text.
  var order: (first: String, firstAsInteger: String, fromInteger: String, second: String, secondCast: String)
  var conditions: [RegisterFilter.Key: String]
  /// Conditions on time, `$` being the bound as microseconds.
  var from: String
  var to: String
  /// Joined to the rows of the page only.
  var joins: String
  var columns: [Column]
}

extension ViewDefinition {
  static func named(_ view: RegisterView) -> ViewDefinition {
    switch view {
    case .recordings: recordings
    case .viewings: journal(acts: ["viewing.joined", "recording.consulted"], facts: viewingFacts)
    case .extractions:
      journal(
        acts: ["extraction"],
        facts: viewingFacts + ["recipient", "requesting_agent", "requesting_service", "form", "number"])
    case .erasures:
      journal(
        acts: ["erasure.certificate"],
        facts: ["recording", "part", "chain_head", "term_day", "ground", "article", "reference", "first", "second"])
    case .regimes:
      journal(
        acts: ["regime.changed", "service.created"],
        facts: [
          "regime", "version", "term_months", "live_sound", "command_room_may_declare", "wearer_may_extract", "act",
          "matricule", "shortened",
        ])
    case .refusals: refusals
    case .journal: wholeJournal
    case .holds: holds
    case .accreditations: accreditations
    case .requests: requests
    }
  }

  private static let viewingFacts = [
    "matricule", "rank", "role", "recording", "camera", "incident", "reason", "reference", "accreditation",
    "accreditation_act",
  ]

  private static let byTime = (
    first: "at", firstAsInteger: "us(page.at)", fromInteger: "at_us", second: "position", secondCast: "bigint"
  )

  private static func journalColumns(_ facts: [String]) -> [Column] {
    [
      Column("position", .integer, "page.position"), Column("at", .time, "us(page.at)"),
      Column("act", .text, "page.act"), Column("account", .text, "page.author"),
    ] + facts.map { Column($0, .text, "page.entry->'facts'->>'\($0)'") }
  }

  private static let journalConditions: [RegisterFilter.Key: String] = [
    .account: "j.author = $", .recording: "j.entry->'facts'->>'recording' = $",
    .camera: "j.entry->'facts'->>'camera' = $", .incident: "j.entry->'facts'->>'incident' = $",
    .reference: "j.entry->'facts'->>'reference' = $", .agent: "j.entry->'facts'->>'matricule' = $",
  ]

  private static func journal(acts: [String], facts: [String]) -> ViewDefinition {
    ViewDefinition(
      table: "journal j", alias: "j", inService: "j.service_id = s.service", inStratum: "j.act = s.value",
      stratum: .acts(acts), order: byTime, conditions: journalConditions, from: "j.at >= at_us($)",
      to: "j.at < at_us($)", joins: "", columns: journalColumns(facts))
  }

  private static let wholeJournal = ViewDefinition(
    table: "journal j", alias: "j", inService: "j.service_id = s.service", order: byTime,
    conditions: journalConditions.merging([.act: "j.act = $"]) { first, _ in first }, from: "j.at >= at_us($)",
    to: "j.at < at_us($)", joins: "",
    columns: journalColumns(["recording", "camera", "incident", "result"]) + [
      Column("kind", .text, "page.kind"), Column("facts", .text, "page.entry->'facts'"),
      Column("leaf", .text, "encode(page.leaf, 'hex')"),
    ])

  private static let refusals = ViewDefinition(
    table: "journal j", alias: "j",
    inService: "j.service_id = s.service AND j.entry->'facts'->>'result' = 'refused'", order: byTime,
    conditions: journalConditions, from: "j.at >= at_us($)", to: "j.at < at_us($)", joins: "",
    columns: journalColumns(["code", "article", "recording", "camera", "incident", "matricule"]))

  /// A recording that lasts longer than this is found by its start only.
  private static let longestOverlap = "interval '24 hours'"

  private static let recordings = ViewDefinition(
    table: "recording r", alias: "r", inService: "r.service_id = s.service::uuid",
    inStratum: "r.agent_id = s.value::uuid", stratum: .agents,
    order: (
      first: "sort_at", firstAsInteger: "us(page.sort_at)", fromInteger: "at_us", second: "id", secondCast: "uuid"
    ),
    conditions: [
      .camera: "r.camera_id = $", .state: "r.state = $", .incident: "r.incident_id = $::uuid",
      .recording: "r.id = $::uuid",
      .reference:
        "r.id = ANY(ARRAY(SELECT x.id FROM incident i JOIN recording x ON x.incident_id = i.id WHERE i.service_id = s.service::uuid AND i.reference = $ UNION SELECT p.recording_id FROM procedure_link p WHERE p.service_id = s.service::uuid AND p.reference = $))",
      .unjustified:
        "$::text IS NOT NULL AND r.state = 'closed' AND (r.agent_id IS NULL OR r.place IS NULL) AND r.justification IS NULL",
    ],
    from: "r.sort_at >= at_us($) - \(longestOverlap) AND coalesce(r.ended_at, 'infinity') >= at_us($)",
    to: "r.sort_at < at_us($)",
    joins: """
      JOIN service v ON v.id = page.service_id JOIN incident i ON i.id = page.incident_id
      LEFT JOIN agent a ON a.id = page.agent_id
      """,
    columns: [
      Column("recording", .text, "page.id"), Column("state", .text, "page.state"), Column("service", .text, "v.name"),
      Column("agent", .text, "a.name"), Column("matricule", .text, "a.matricule"),
      Column("camera", .text, "page.camera_id"), Column("incident", .text, "page.incident_id"),
      Column("reference", .text, "i.reference"), Column("place", .text, "page.place"),
      Column("from", .time, "us(page.started_at)"), Column("to", .time, "us(page.ended_at)"),
      Column(
        "size_bytes", .integer,
        "CASE WHEN page.state = 'open' THEN (SELECT coalesce(sum(p.media_bytes), 0) FROM recording_part p WHERE p.recording_id = page.id) ELSE page.size_bytes END"
      ),
      Column(
        "gaps", .integer,
        "(SELECT count(*) FROM gap g JOIN recording_part p ON p.id = g.part_id WHERE p.recording_id = page.id)"),
      Column(
        "clock", .text,
        "CASE WHEN page.state = 'erased' THEN NULL WHEN page.clock_offset_ms IS NULL THEN 'unknown' WHEN page.clock_off THEN 'off' ELSE 'known' END"
      ),
      Column("clock_offset_ms", .integer, "page.clock_offset_ms"), Column("clock_source", .text, "page.clock_source"),
      Column("term", .day, "(SELECT max(p.term_day) FROM recording_part p WHERE p.recording_id = page.id)"),
      Column(
        "held_by", .text,
        "(SELECT string_agg(h.kind || ' ' || h.reference, ', ' ORDER BY h.number) FROM hold h WHERE h.recording_id = page.id AND h.released_at IS NULL)"
      ),
      Column(
        "unjustified", .boolean,
        "page.state = 'closed' AND (page.agent_id IS NULL OR page.place IS NULL) AND page.justification IS NULL"),
      Column("informed", .boolean, "page.informed"), Column("medical_secret", .boolean, "page.medical_secret"),
      Column("decodes", .text, "page.decode_verdict"), Column("decodeDetail", .text, "page.decode_detail"),
      Column("damage", .integer, "page.damage_count"),
      Column(
        "chainHead", .text,
        "coalesce((SELECT encode(p.chain_head, 'hex') FROM recording_part p WHERE p.recording_id = page.id ORDER BY p.number DESC LIMIT 1), (SELECT encode(e.chain_head, 'hex') FROM erased_part e WHERE e.recording_id = page.id ORDER BY e.certificate DESC LIMIT 1))"
      ),
      Column("erasedAt", .time, "us(page.erased_at)"), Column("certificate", .text, "page.certificate"),
    ])

  private static let byNumber = (
    first: "number", firstAsInteger: "page.number", fromInteger: "", second: "id", secondCast: "uuid"
  )

  private static let holds = ViewDefinition(
    table: "hold h", alias: "h", inService: "h.service_id = s.service::uuid", order: byNumber,
    conditions: [
      .recording: "h.recording_id = $::uuid", .reference: "h.reference = $", .account: "h.placed_by = $",
      .state: "(($::text = 'open' AND h.released_at IS NULL) OR ($::text = 'released' AND h.released_at IS NOT NULL))",
    ], from: "h.placed_at >= at_us($)", to: "h.placed_at < at_us($)",
    joins: "",
    columns: [
      Column("hold", .text, "page.id"), Column("recording", .text, "page.recording_id"),
      Column("kind", .text, "page.kind"), Column("reference", .text, "page.reference"),
      Column("authority", .text, "page.authority"), Column("requested_on", .day, "page.requested_on"),
      Column("review_on", .day, "page.review_on"), Column("placed_at", .time, "us(page.placed_at)"),
      Column("placed_by", .text, "page.placed_by"), Column("released_at", .time, "us(page.released_at)"),
      Column("released_by", .text, "page.released_by"), Column("release_reason", .text, "page.release_reason"),
      Column(
        "term", .day, "(SELECT max(p.term_day) FROM recording_part p WHERE p.recording_id = page.recording_id)"),
    ])

  private static let accreditations = ViewDefinition(
    table: "accreditation c", alias: "c", inService: "c.service_id = s.service::uuid", order: byNumber,
    conditions: [
      .account: "c.account_id IN (SELECT o.id FROM account o WHERE o.name = $)",
      .agent:
        "c.account_id IN (SELECT o.id FROM account o JOIN agent g ON g.id = o.agent_id WHERE g.matricule = $ OR g.name = $)",
      .state:
        "CASE WHEN least(c.valid_until, coalesce(c.ended_at, 'infinity')) > now() THEN 'open' ELSE 'ended' END = $",
    ], from: "least(c.valid_until, coalesce(c.ended_at, 'infinity')) >= at_us($)", to: "c.valid_from < at_us($)",
    joins: "JOIN account o ON o.id = page.account_id JOIN agent g ON g.id = o.agent_id",
    columns: [
      Column("accreditation", .text, "page.id"), Column("account", .text, "o.name"), Column("agent", .text, "g.name"),
      Column("matricule", .text, "g.matricule"), Column("rank", .text, "g.rank"), Column("role", .text, "page.role"),
      Column("act", .text, "page.act"), Column("given_by", .text, "page.given_by"),
      Column("from", .time, "us(page.valid_from)"), Column("until", .time, "us(page.valid_until)"),
      Column("ended_at", .time, "us(page.ended_at)"), Column("ended_by", .text, "page.ended_by"),
      Column("end_act", .text, "page.end_act"),
    ])

  private static let requests = ViewDefinition(
    table: "data_request q", alias: "q", inService: "q.service_id = s.service::uuid", order: byNumber,
    conditions: [
      .reference: "q.reference = $", .camera: "q.camera_id = $",
      .state: "(($::text = 'open' AND q.decision IS NULL) OR ($::text = 'decided' AND q.decision IS NOT NULL))",
    ], from: "q.received_on >= (at_us($) AT TIME ZONE 'Europe/Paris')::date",
    to: "q.received_on <= (at_us($) AT TIME ZONE 'Europe/Paris')::date",
    joins: "",
    columns: [
      Column("request", .text, "page.id"), Column("kind", .text, "page.kind"),
      Column("reference", .text, "page.reference"), Column("received_on", .day, "page.received_on"),
      Column("due_on", .day, "page.due_on"), Column("place", .text, "page.place"),
      Column("camera", .text, "page.camera_id"), Column("from", .time, "us(page.from_at)"),
      Column("to", .time, "us(page.to_at)"), Column("entered_by", .text, "page.entered_by"),
      Column("decision", .text, "page.decision"), Column("ground", .text, "page.ground"),
      Column("reply", .text, "page.reply"), Column("decided_at", .time, "us(page.decided_at)"),
      Column("decided_by", .text, "page.decided_by"),
    ])
}
