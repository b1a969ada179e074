import Foundation
import Testing

@testable import ObjectStore

/// The examples of "Signature Calculations for the Authorization Header" in the Amazon S3 API reference.
struct SignatureV4Tests {
  private let signature = SignatureV4(
    credentials: .init(accessKey: "AKIAIOSFODNN7EXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    region: "us-east-1")
  private static let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
  private static let host = "examplebucket.s3.amazonaws.com"

  private func sign(
    _ method: String, _ path: String, _ query: [(name: String, value: String)] = [],
    _ headers: [(name: String, value: String)] = [], hash: String = empty
  ) -> String {
    signature.authorization(
      method: method, path: path, query: query,
      headers: headers + [
        ("Host", Self.host), ("x-amz-content-sha256", hash), ("x-amz-date", "20130524T000000Z"),
      ], payloadHash: hash, time: "20130524T000000Z")
  }

  @Test func getsAnObjectByRange() {
    #expect(
      sign("GET", "/test.txt", [], [("Range", "bytes=0-9")])
        == "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )
  }

  @Test func putsAnObject() {
    let hash = SignatureV4.hash(Array("Welcome to Amazon S3.".utf8))
    #expect(hash == "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072")
    let signed = sign(
      "PUT", "/" + SignatureV4.encoded("test$file.text"), [],
      [("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")], hash: hash)
    #expect(signed.hasSuffix("Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"))
    #expect(signed.contains("SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class"))
  }

  @Test func asksForABucketsConfiguration() {
    #expect(
      sign("GET", "/", [("lifecycle", "")]).hasSuffix(
        "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"))
  }

  @Test func listsObjects() {
    #expect(
      sign("GET", "/", [("max-keys", "2"), ("prefix", "J")]).hasSuffix(
        "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"))
  }

  @Test(
    arguments: [
      ("a b/é", "a%20b%2F%C3%A9", "a%20b/%C3%A9"), ("~-._", "~-._", "~-._"), ("a+b&c", "a%2Bb%26c", "a%2Bb%26c"),
    ])
  func encodesAsTheSignatureAsks(_ text: String, _ encoded: String, _ path: String) {
    #expect(SignatureV4.encoded(text) == encoded)
    #expect(SignatureV4.encoded(text, keepingSlashes: true) == path)
  }
}

struct ObjectStoreLocationTests {
  @Test func aBucketIsFoundInTheURL() throws {
    let location = try ObjectStoreLocation(url: "https://s3.example.fr:9000/footage/node-1", region: "fr")
    #expect(location.origin == "https://s3.example.fr:9000" && location.host == "s3.example.fr:9000")
    #expect(location.bucket == "footage" && location.prefix == "node-1/")
  }

  // LIVE-9: footage leaves the machine under TLS only.
  @Test(
    arguments: [
      "http://s3.example.fr/footage", "https://s3.example.fr", "footage", "https://key:secret@s3.example.fr/footage",
      "https://s3.example.fr/footage?versionId=1", "",
    ])
  func whatIsNoBucketUnderTLSIsRefused(_ text: String) {
    #expect(throws: ObjectStoreError.self) { try ObjectStoreLocation(url: text, region: "fr") }
  }

  @Test func credentialsComeFromAFile() throws {
    let folder = try Folder()
    let path = folder.path + "/credentials"
    try Data("[default]\naws_access_key_id = A\nAWS_SECRET_ACCESS_KEY=b/c=\n".utf8).write(
      to: URL(fileURLWithPath: path))
    #expect(try SignatureV4.Credentials(file: path).accessKey == "A")
    try Data("aws_access_key_id = A\n".utf8).write(to: URL(fileURLWithPath: path))
    #expect(throws: ObjectStoreError.self) { try SignatureV4.Credentials(file: path) }
    #expect(throws: ObjectStoreError.self) { try SignatureV4.Credentials(file: path + "-none") }
  }
}
