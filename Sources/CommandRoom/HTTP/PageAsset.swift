internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// The console's pages, built into the program.
struct PageAsset: Sendable {
  var path: String
  var contentType: String
  var bytes: [UInt8]

  var response: Response {
    Response(
      status: .ok, headers: [.contentType: contentType, .cacheControl: "no-cache"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
  }

  /// What the API is, for machines: OpenAPI 3.1.
  static let openAPI = PageAsset(
    path: "openapi.json", contentType: "application/json", bytes: PackageResources.openapi_json)

  /// The cameras' API likewise, on their own listener.
  static let deviceOpenAPI = PageAsset(
    path: "openapi.json", contentType: "application/json", bytes: PackageResources.device_openapi_json)

  static let all: [PageAsset] = [
    PageAsset(path: "/", contentType: "text/html; charset=utf-8", bytes: PackageResources.wall_html),
    PageAsset(path: "wall.js", contentType: "text/javascript; charset=utf-8", bytes: PackageResources.wall_js),
    PageAsset(path: "player.js", contentType: "text/javascript; charset=utf-8", bytes: PackageResources.player_js),
    PageAsset(path: "wall.css", contentType: "text/css; charset=utf-8", bytes: PackageResources.wall_css),
  ]
}
