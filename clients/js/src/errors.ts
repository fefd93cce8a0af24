import type { ErrorData } from "./protocol.ts";

/**
 * Codes of failures that the client itself names. The server's own codes
 * (`forbidden`, `rate_limited`, ...) are listed in docs/PROTOCOL.md.
 *
 * - `queue_full`: too many requests wait for a connection; nothing was sent.
 * - `queue_expired`: it waited for a connection for too long; nothing was sent.
 * - `ack_timeout`: no answer after all retries; whether it happened is unknown.
 * - `connection_lost`: the connection ended, and the request must not be repeated.
 * - `outcome_unknown`: sent, never answered, and too old to repeat under its id, or to wait on.
 * - `frame_too_large`: the envelope is larger than the server's frames may be.
 * - `token_failed`: `getToken` failed, or its token was refused.
 * - `connect_failed`: the connection or the session could not be opened.
 * - `closed`: the client was closed.
 */
export type LocalCode =
  | "queue_full" | "queue_expired" | "ack_timeout" | "connection_lost" | "outcome_unknown" | "frame_too_large"
  | "token_failed" | "connect_failed" | "closed";

export interface ErrorDetails {
  field?: string | undefined;
  retryable?: boolean | undefined;
  retryAfterMs?: number | undefined;
  closeCode?: number | undefined;
  action?: string | undefined;
  room?: string | undefined;
  cause?: unknown;
}

/** Every failure that the client reports: rejections of requests and `error` events. */
export class HeddleError extends Error {
  readonly code: string;
  /** The path of the offending field, such as `data.text`. */
  readonly field: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  /** The WebSocket close code, where one ended the connection. */
  readonly closeCode: number | undefined;
  readonly action: string | undefined;
  readonly room: string | undefined;

  constructor(code: LocalCode | (string & {}), message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "HeddleError";
    this.code = code;
    this.field = details.field;
    this.retryable = details.retryable ?? false;
    this.retryAfterMs = details.retryAfterMs;
    this.closeCode = details.closeCode;
    this.action = details.action;
    this.room = details.room;
  }
}

/** The error that an envelope of type `error` tells. */
export function fromEnvelope(data: Partial<ErrorData> | undefined, action?: string, room?: string): HeddleError {
  const code = data?.code ?? "internal";
  return new HeddleError(code, data?.message ?? code, {
    field: data?.field,
    retryable: data?.retryable,
    retryAfterMs: data?.retry_after_ms || undefined,
    action,
    room,
  });
}
