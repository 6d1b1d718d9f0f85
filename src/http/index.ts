// `tenure/http`: a task hub over HTTP. See docs/http.md.

export { createHttpHandler, type HttpHandler, type HttpHandlerOptions, type HttpHub } from "./handler.js";
export { HttpError, type HttpErrorCode, type Problem } from "./problem.js";
export type { Connection } from "./requester.js";
export { isLoopback } from "./security.js";
export { type HttpServer, type ServeOptions, serveHttp } from "./serve.js";
