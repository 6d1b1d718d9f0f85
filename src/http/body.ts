import { parseJsonText } from "./json-text.js";
import { HttpError } from "./problem.js";

/**
 * The JSON body of a request; undefined when it is empty.
 *
 * @throws HttpError BodyTooLarge before more than the limit is held in memory, UnsupportedMediaType for
 * another content type, InvalidJson.
 */
export async function readJson(request: Request, maxBytes: number): Promise<unknown> {
  const bytes = await readBytes(request, maxBytes);
  if (bytes.length === 0) return undefined;
  checkContentType(request.headers);
  return parseJsonText(decodeUtf8(bytes));
}

/**
 * The request for code that reads the body itself: one whose body ends in an error once it is larger than
 * allowed, made anew so that it is a Request through and through (servers hand over objects that only
 * look like one, and cannot be passed to fetch).
 *
 * @throws HttpError BodyTooLarge at once where the length is declared.
 */
export function limitBody(request: Request, maxBytes: number): Request {
  checkDeclaredLength(request.headers, maxBytes);
  const { method, headers, signal } = request;
  const parts = { method, headers: [...headers], signal };
  if (request.body === null) return new Request(request.url, parts);
  const body = request.body.pipeThrough(counting(maxBytes));
  return new Request(request.url, { ...parts, body, duplex: "half" });
}

function counting(maxBytes: number): TransformStream<Uint8Array, Uint8Array> {
  let size = 0;
  return new TransformStream({
    transform(chunk, controller) {
      size += chunk.byteLength;
      if (size > maxBytes) controller.error(tooLarge(maxBytes));
      else controller.enqueue(chunk);
    },
  });
}

async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  checkDeclaredLength(request.headers, maxBytes);
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = request.body?.getReader();
  for (;;) {
    const next = await readChunk(reader);
    if (next === undefined) break;
    size += next.byteLength;
    // The reader is left as it is: cancelling would cut the connection before the caller has the answer.
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(next);
  }
  return Buffer.concat(chunks);
}

async function readChunk(
  reader: ReadableStreamDefaultReader<Uint8Array> | undefined,
): Promise<Uint8Array | undefined> {
  try {
    const next = await reader?.read();
    return next?.value;
  } catch (cause) {
    if (cause instanceof HttpError) throw cause;
    throw new HttpError("MalformedRequest", "The request's body broke off.", { cause });
  }
}

function checkDeclaredLength(headers: Headers, maxBytes: number): void {
  const declared = headers.get("content-length");
  if (declared !== null && Number(declared) > maxBytes) throw tooLarge(maxBytes);
}

function tooLarge(maxBytes: number): HttpError {
  return new HttpError(
    "BodyTooLarge",
    `The request's body is larger than ${maxBytes} bytes. Send less, or a reference to it.`,
  );
}

/** No content type is taken as JSON: only browsers must name one, and theirs are checked by Origin. */
function checkContentType(headers: Headers): void {
  const encoding = headers.get("content-encoding");
  if (encoding !== null && encoding.toLowerCase() !== "identity") {
    throw new HttpError("UnsupportedMediaType", `A body in ${encoding} cannot be read. Send it unencoded.`);
  }
  const type = headers.get("content-type");
  if (type === null) return;
  const [mediaType = "", ...parameters] = type.split(";").map((part) => part.trim().toLowerCase());
  const charset = parameters
    .find((parameter) => parameter.startsWith("charset="))
    ?.replace(/^charset=|"/g, "");
  const isJson = mediaType === "application/json" || /^application\/[\w.+-]+\+json$/.test(mediaType);
  if (isJson && (charset === undefined || charset === "utf-8" || charset === "utf8")) return;
  throw new HttpError(
    "UnsupportedMediaType",
    `A body of type "${type.slice(0, 80)}" cannot be read. Only application/json request content is supported: ` +
      "add the header content-type: application/json.",
  );
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new HttpError("InvalidJson", "Invalid JSON content: the body is not UTF-8 text.", { cause });
  }
}
