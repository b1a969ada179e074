/// A refusal that can be shown: the article, and a sentence that says what was refused, why, and what to do.
package struct Refusal: Error, Equatable, Sendable, Codable {
  package var code: String
  package var article: String
  package var sentence: String

  package init(code: String, article: String, sentence: String) {
    self.code = code
    self.article = article
    self.sentence = sentence
  }
}

/// What an act rests on, as the journal stores it.
package enum Basis: Equatable, Sendable {
  case accreditation(Accreditation)
  /// Attached to this incident; the accreditation is what makes them one of the service.
  case attachment(Accreditation)
  /// The text itself orders it, or gives it to whoever holds the camera or the machine.
  case law(String)

  package var isAttachment: Bool { if case .attachment = self { true } else { false } }

  package var accreditation: Accreditation? {
    switch self {
    case .accreditation(let accreditation), .attachment(let accreditation): accreditation
    case .law: nil
    }
  }
}

/// The answer to ``may(_:_:_:at:)``, which is also what the journal stores.
package enum Decision: Equatable, Sendable {
  case granted(basis: Basis)
  case refused(Refusal)
}
