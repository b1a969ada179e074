// swift-tools-version: 6.2
import PackageDescription

// One set of settings for every target: Swift 6 mode, warnings are errors, imports say what they need.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let cryptoExtras: Target.Dependency = .product(name: "CryptoExtras", package: "swift-crypto")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let hummingbirdHTTP2: Target.Dependency = .product(name: "HummingbirdHTTP2", package: "hummingbird")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let httpClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let jwtKit: Target.Dependency = .product(name: "JWTKit", package: "jwt-kit")
let certificates: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let asn1: Target.Dependency = .product(name: "SwiftASN1", package: "swift-asn1")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let configuration: Target.Dependency = .product(name: "Configuration", package: "swift-configuration")

// Arrows go down only; `make` builds with --explicit-target-dependency-import-check error, so an import
// that is not written here does not build.
let package = Package(
  name: "plastron",
  products: [
    .executable(name: "plastron", targets: ["plastron"]),
    .executable(name: "plastron-imaging", targets: ["plastron-imaging"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-certificates.git", from: "1.21.1"),
    .package(url: "https://github.com/apple/swift-asn1.git", from: "1.7.4"),
    .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
    .package(
      url: "https://github.com/apple/swift-configuration.git", from: "1.4.0", traits: [.defaults, "YAML"]),
    .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-system.git", from: "1.8.1"),
    .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
    .package(url: "https://github.com/swift-server/async-http-client.git", from: "1.37.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.1"),
    .package(url: "https://github.com/vapor/jwt-kit.git", from: "5.0.0"),
  ],
  targets: [
    // System libraries
    .systemLibrary(name: "CSRT", pkgConfig: "srt", providers: [.apt(["libsrt-openssl-dev"])]),
    .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
    .systemLibrary(name: "CAVCodec", pkgConfig: "libavcodec", providers: [.apt(["libavcodec-dev"])]),
    // The kernel's word for whether its clock is disciplined.
    .systemLibrary(name: "CTimex"),
    .systemLibrary(name: "CUring"),
    // What the allocator keeps of what is freed.
    .systemLibrary(name: "CMalloc"),
    .systemLibrary(name: "CFlush"),

    // Pure cores
    .target(name: "TransportStream", swiftSettings: strict),
    .target(name: "FragmentedMP4", dependencies: ["TransportStream"], swiftSettings: strict),
    .target(name: "Doctrine", swiftSettings: strict),
    .target(name: "Journal", dependencies: [crypto], swiftSettings: strict),
    .target(name: "Footage", dependencies: [crypto], swiftSettings: strict),

    // Adapters to C libraries
    .target(name: "SRT", dependencies: ["CSRT"], swiftSettings: strict),
    .target(name: "Postgres", dependencies: ["CPostgres"], swiftSettings: strict),
    .target(name: "Imaging", dependencies: ["CAVCodec"], swiftSettings: strict),

    // Adapters to disk, database, sockets
    .target(
      name: "Registry", dependencies: ["Postgres", "Doctrine", "Journal", crypto],
      swiftSettings: strict),
    .target(name: "Vault", dependencies: ["Footage", "Journal", "CFlush", crypto], swiftSettings: strict),
    .target(
      name: "Seams",
      dependencies: [
        "Doctrine", "Footage", "Journal", hummingbird, httpClient, nioCore, nioHTTP1, httpTypes, logging,
        lifecycle,
      ], swiftSettings: strict),

    .target(
      name: "ObjectStore", dependencies: ["Vault", httpClient, nioCore, nioHTTP1, nioSSL, crypto],
      swiftSettings: strict),

    // Services
    .target(
      name: "Ingest", dependencies: ["SRT", "Doctrine", "Footage", "Vault", "Seams", logging, crypto],
      swiftSettings: strict),
    .target(name: "Relay", dependencies: ["TransportStream", "FragmentedMP4"], swiftSettings: strict),
    .target(name: "Identity", dependencies: ["Doctrine", crypto, cryptoExtras, jwtKit], swiftSettings: strict),
    .target(name: "Retention", dependencies: ["Doctrine", logging], swiftSettings: strict),
    .target(
      name: "Extraction",
      dependencies: ["Footage", "FragmentedMP4", "TransportStream", "Vault"],
      swiftSettings: strict),
    .target(
      name: "Archive", dependencies: ["Doctrine", "Seams", "Vault", "Extraction", "ObjectStore", logging],
      swiftSettings: strict),
    .target(
      name: "Keeper",
      dependencies: [
        "Doctrine", "Footage", "Journal", "Vault", "Seams", "Identity", "Retention", logging, crypto,
      ], swiftSettings: strict),
    .target(
      name: "CommandRoom",
      dependencies: [
        "Relay", "Identity", "Doctrine", "Seams", "Extraction", "ObjectStore", "Vault", crypto, hummingbird,
        hummingbirdHTTP2, httpTypes, nioCore, nioHTTP1, nioSSL, logging, httpClient,
      ],
      resources: [.embedInCode("Public")],
      swiftSettings: strict),

    // The programs
    .executableTarget(
      name: "plastron",
      dependencies: [
        "TransportStream", "FragmentedMP4", "Doctrine", "Journal", "Footage", "SRT", "Postgres", "Registry",
        "Vault", "Seams", "Ingest", "Relay", "Identity", "Retention", "Keeper", "CommandRoom", "ObjectStore", "Archive",
        "CTimex", "CUring", "CMalloc",
        arguments, configuration, logging, lifecycle, crypto, certificates, asn1, httpClient, nioCore,
        nioHTTP1, nioSSL, hummingbird, .product(name: "SystemPackage", package: "swift-system"),
      ], swiftSettings: strict),
    .executableTarget(name: "plastron-imaging", dependencies: ["Imaging"], swiftSettings: strict),

    // Tests
    .target(
      name: "TestSupport", dependencies: ["Postgres", "Registry"], path: "Tests/Support", swiftSettings: strict),
    .testTarget(
      name: "CoreTests",
      dependencies: ["TransportStream", "FragmentedMP4", "Relay", "Doctrine", "Journal", "Footage", crypto],
      swiftSettings: strict),
    .testTarget(
      name: "AdapterTests",
      dependencies: [
        "SRT", "Postgres", "Registry", "Vault", "ObjectStore", "Doctrine", "Footage", "Journal", "TestSupport", crypto,
      ], swiftSettings: strict),
    .testTarget(
      name: "ServiceTests",
      dependencies: [
        "Ingest", "Relay", "Identity", "Seams", "Doctrine", "Footage", "SRT", "Vault", "Keeper", "Registry", "Postgres",
        "Retention", "Journal", "CommandRoom", "Extraction", "TestSupport", httpClient, crypto, logging,
      ], swiftSettings: strict),
    // The fuzz targets' code and the replay of kept inputs; Tests/Fuzz/build.sh makes the fuzzer itself of it.
    .testTarget(
      name: "FuzzTests",
      dependencies: ["TransportStream", "FragmentedMP4", "Relay", "Footage", "Ingest", "Doctrine", crypto],
      path: "Tests/Fuzz", exclude: ["LibFuzzer", "build.sh", "fuzz.sh", "make_seeds.py"], swiftSettings: strict),
  ]
)
