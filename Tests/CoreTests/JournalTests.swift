import Crypto
import Testing

@testable import Journal

struct CanonicalJSONTests {
  @Test func ordersMembersAndEscapes() {
    let value = CanonicalJSON.object([
      "b": .integer(1), "a": .string("é\"\\\n\u{1}"), "€": .null, "c": .array([.bool(true), .object([:])]),
    ])
    #expect(value.text == #"{"a":"é\"\\\n\u0001","b":1,"c":[true,{}],"€":null}"#)
  }
}

struct CanonicalJSONParsingTests {
  @Test(arguments: [
    "null", "true", "[]", "{}", "-12", "0", #""é\"\\\n\u0001""#, #"{"a":[1,{"b":null}],"c":"d"}"#, "9007199254740991",
  ])
  func readsWhatItWrites(_ text: String) {
    #expect(CanonicalJSON(canonical: text.utf8)?.text == text)
  }

  @Test(arguments: [
    "", " null", "nul", "01", "-0", "+1", "1.0", "1e3", "[1,]", "[1", "{\"a\":1,\"a\":1}", "{\"b\":1,\"a\":1}",
    "{\"a\" :1}",
    #""\u0041""#, #""\/""#, "\"\n\"", "\"", "{a:1}", "99999999999999999999",
    "[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]", "\"\u{7F}",
  ])
  func refusesEveryOtherSpelling(_ text: String) {
    #expect(CanonicalJSON(canonical: text.utf8) == nil)
  }

  @Test func refusesBytesThatAreNoText() {
    #expect(CanonicalJSON(canonical: [0x22, 0xC3, 0x22]) == nil)
  }

  @Test func readsAnEntryBack() {
    let entry = JournalEntry(
      kind: .erasure, act: "erasure.begun", time_us: -5, author: "é", service: "s",
      facts: ["a": .array([.bool(false)])],
      salt: "00", number: 7)
    #expect(JournalEntry(canonical: entry.canonicalBytes) == entry)
    #expect(JournalEntry(canonical: Array(#"{"v":2}"#.utf8)) == nil)
  }
}

struct MerkleProofTests {
  private let leaves = (0..<600).map { MerkleHash.leaf(Array("entry \($0)".utf8)) }

  /// RFC 6962, 2.1, as it is written there.
  private func plain(_ hashes: ArraySlice<[UInt8]>) -> [UInt8] {
    guard hashes.count > 1 else { return hashes.first ?? MerkleHash.empty }
    var split = 1
    while split * 2 < hashes.count { split *= 2 }
    return MerkleHash.node(plain(hashes.prefix(split)), plain(hashes.dropFirst(split)))
  }

  private func prover(_ size: Int) -> MerkleProver {
    MerkleProver(size: UInt64(size)) { level, index, width in
      let span = 1 << (8 * level)
      return (0..<width).map { offset in
        let low = (Int(index) * 256 + offset) * span
        return plain(leaves[low..<(low + span)])
      }
    }
  }

  @Test func treesOfAllSizesHaveTheRootOfTheirDefinition() throws {
    var tree = TileTree()
    for size in 1...600 {
      let full = tree.append(leaf: leaves[size - 1])
      #expect(full.isEmpty == (size % 256 != 0))
      guard size % 7 == 0 || size < 20 || (250...260).contains(size) || size > 510 && size < 516 else { continue }
      let root = plain(leaves.prefix(size))
      #expect(tree.root == root)
      #expect(try prover(size).root() == root)
    }
  }

  @Test(arguments: [1, 2, 3, 7, 8, 64, 255, 256, 257, 511, 512, 600])
  func everyEntryIsProven(_ size: Int) throws {
    let root = plain(leaves.prefix(size))
    for position in stride(from: 0, to: size, by: size > 64 ? 13 : 1) {
      let path = try prover(size).inclusion(of: UInt64(position))
      func holds(_ leaf: Int, _ at: Int, _ path: [[UInt8]]) -> Bool {
        MerkleProof.isIncluded(leaf: leaves[leaf], at: UInt64(at), of: UInt64(size), root: root, path: path)
      }
      #expect(holds(position, position, path))
      #expect(!holds((position + 1) % 600, position, path))
      #expect(size == 1 || !holds(position, (position + 1) % size, path))
      #expect(!holds(position, position, path + [root]))
      #expect(path.isEmpty || !holds(position, position, Array(path.dropLast())))
    }
    #expect(throws: MerkleProver.Failure.outOfRange) { try prover(size).inclusion(of: UInt64(size)) }
  }

  @Test(arguments: [1, 2, 3, 6, 8, 255, 256, 257, 512, 600])
  func everyBeginningIsProven(_ size: Int) throws {
    let root = plain(leaves.prefix(size))
    for old in stride(from: 1, through: size, by: size > 64 ? 17 : 1) {
      let proof = try prover(size).consistency(from: UInt64(old))
      func holds(_ oldRoot: [UInt8], _ proof: [[UInt8]]) -> Bool {
        MerkleProof.isConsistent(
          old: UInt64(old), oldRoot: oldRoot, new: UInt64(size), newRoot: root, proof: proof)
      }
      let oldRoot = plain(leaves.prefix(old))
      #expect(holds(oldRoot, proof))
      #expect(!holds(leaves[599], proof))
      #expect(!holds(oldRoot, proof + [root]))
    }
  }

  @Test func tilePathsAreThoseOfTheSpecification() {
    #expect(TilePath.hashes(level: 1, index: 1_234_067) == "tile/1/x001/x234/067")
    #expect(TilePath.hashes(level: 0, index: 0, width: 5) == "tile/0/000.p/5")
    #expect(TilePath.entries(index: 256) == "tile/entries/256")
    #expect(TilePath.entries(index: 1000) == "tile/entries/x001/000")
  }
}

struct MerkleTests {
  private func hex(_ bytes: [UInt8]) -> String { bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }

  // The test vectors of RFC 6962 implementations: eight leaves of given bytes.
  @Test func matchesTheKnownRoots() {
    let leaves: [[UInt8]] = [
      [], [0x00], [0x10], [0x20, 0x21], [0x30, 0x31], [0x40, 0x41, 0x42, 0x43],
      [0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
      [0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x6B, 0x6C, 0x6D, 0x6E, 0x6F],
    ]
    let roots = [
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
      "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
      "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
      "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
      "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
      "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]
    var frontier = MerkleFrontier()
    #expect(hex(frontier.root) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    for (leaf, root) in zip(leaves, roots) {
      frontier.append(leaf: MerkleHash.leaf(leaf))
      #expect(hex(frontier.root) == root)
    }
  }
}

struct CheckpointTests {
  @Test func isReadBackUnderItsKeyOnly() throws {
    let key = Curve25519.Signing.PrivateKey()
    let checkpoint = Checkpoint(origin: "plastron/node", size: 7, root: [UInt8](repeating: 9, count: 32))
    let note = try checkpoint.signed(by: key)
    func verifier(_ key: Curve25519.Signing.PrivateKey) -> VerifierKey {
      VerifierKey(name: "plastron/node", publicKey: Array(key.publicKey.rawRepresentation))
    }
    #expect(Checkpoint(note: note, key: verifier(key)) == checkpoint)
    #expect(Checkpoint(note: note, key: verifier(Curve25519.Signing.PrivateKey())) == nil)
    #expect(Checkpoint(note: note.replacing("\n7\n", with: "\n8\n"), key: verifier(key)) == nil)
    #expect(VerifierKey(verifier(key).text) == verifier(key))
  }

  // The example that the signed-note implementations share.
  @Test func readsANoteOfAnotherImplementation() throws {
    let key = try #require(VerifierKey("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"))
    let text = """
      If you think cryptography is the answer to your problem,
      then you don't know what your problem is.

      \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=

      """
    #expect(SignedNote(text)?.isSigned(by: key) == true)
    #expect(SignedNote(text.replacing("answer", with: "Answer"))?.isSigned(by: key) == false)
    #expect(VerifierKey("PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW") == nil)
  }

  @Test(arguments: ["", "\n", "a\n\n", "a\nb\n", "a\n1\nAAAA\n\n\u{2014} a AAAA\n", "\n\n\u{2014} a AAAAAAAA\n"])
  func refusesWhatIsNoCheckpoint(_ text: String) {
    #expect(SignedNote(text)?.checkpoint == nil)
  }

  @Test(arguments: 0..<70)
  func base64RoundTrips(_ count: Int) {
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }
    #expect(Base64.decode(Base64.encode(bytes)) == bytes)
  }
}

extension String {
  fileprivate func replacing(_ old: String, with new: String) -> String {
    guard let index = indices.first(where: { self[$0...].hasPrefix(old) }) else { return self }
    return String(self[..<index]) + new + self[self.index(index, offsetBy: old.count)...]
  }
}
