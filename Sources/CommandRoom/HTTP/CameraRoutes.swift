internal import Doctrine
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Seams

/// Cameras: how their links do, how they are received, who has them.
extension ConsoleAPI {
  private func camera(_ context: ConsoleContext) throws -> CameraID {
    CameraID(try context.parameters.require("camera"))
  }

  func addCameraRoutes(_ api: RouterGroup<ConsoleContext>) {
    api.get("cameras") { request, _ in
      guard case .cameras(let cameras) = try await keeper.call(.cameras(token: try sessionToken(request))) else {
        throw Problem.fault
      }
      return try Response.json(cameras.map(CameraShape.init))
    }
    api.get("cameras/:camera/health") { request, context in
      let token = try sessionToken(request)
      var query = try Query(request)
      let now = UTCTime(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000))
      let to = try query.time("to") ?? now.adding(seconds: 60)
      let from = try query.time("from") ?? to.adding(seconds: -3600)
      try query.finish()
      guard
        case .linkMinutes(let minutes, let next) = try await keeper.call(
          .linkMinutes(token: token, try camera(context), from: from, to: to))
      else { throw Problem.fault }
      return try Response.json(LinkMinutesShape(minutes, next: next))
    }
    api.put("cameras/:camera/reception") { request, context in
      let form: ReceptionForm = try await request.json()
      return try await administer(
        request,
        .setReception(try camera(context), try form.setting, maximumRate_kbps: form.maximumRate_kbps))
    }
    api.put("services/:service/relay") { request, context in
      let form: RelayForm = try await request.json()
      return try await administer(
        request, .setRelayBudget(service: try context.parameters.require("service"), ms: form.budget_ms))
    }
    api.post("cameras/:camera/issue") { request, context in
      let token = try changingToken(request)
      let form: IssueForm = try await request.json()
      _ = try await keeper.call(
        .issueCamera(token: token, try camera(context), AgentID(form.agent)))
      return Response.done
    }
    api.post("cameras/:camera/return") { request, context in
      try await administer(request, .returnCamera(try camera(context)))
    }
    api.put("cameras/:camera/admission") { request, context in
      let form: CameraStateForm = try await request.json()
      return try await administer(
        request, .setCamera(try camera(context), enabled: form.enabled))
    }
  }
}

/// How a camera is to be received; what is left out stays as it is.
struct ReceptionForm: Decodable {
  var delivery: String?
  var window_ms: Int?
  var maximumRate_kbps: Int?

  var setting: Delivery? {
    get throws {
      switch (delivery, window_ms) {
      case (nil, nil): return nil
      case ("complete", nil): return .complete
      case ("timely", let window_ms?): return .timely(window_ms: window_ms)
      default:
        throw Problem.badRequest(
          "« delivery » est complete, ou timely avec « window_ms ». (complete, or timely with window_ms.)")
      }
    }
  }
}

struct RelayForm: Decodable { var budget_ms: Int }
