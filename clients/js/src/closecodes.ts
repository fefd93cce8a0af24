/**
 * What a close code asks of the client (docs/PROTOCOL.md, "Close codes").
 *
 * - `resume`: reconnect and resume the session.
 * - `reopen`: reconnect with a new session.
 * - `token`: reconnect with a fresh token.
 * - `stop`: do not reconnect.
 */
export type CloseAction = "resume" | "reopen" | "token" | "stop";

export const CLOSE_DONE = 1000;
export const CLOSE_ABNORMAL = 1006;
/** Sent by the client when it lets a connection go and means to be back. */
export const CLOSE_AWAY = 4000;
/** Sent by the client when the server has fallen silent. */
export const CLOSE_SILENT = 4002;
/** Sent by the client when the connection or the session took too long to open. */
export const CLOSE_HANDSHAKE = 4007;
/** As if the server had closed with it: the session cannot be resumed. */
export const CLOSE_LOST = 4100;

/** The session was resumed over another connection. */
export const CLOSE_REPLACED = 4406;

const TOKEN_EXPIRED = 4402;

export function closeAction(code: number): CloseAction {
  if (code === TOKEN_EXPIRED) return "token";
  if (code >= 4000 && code <= 4099) return "resume";
  if (code >= 4100 && code <= 4199) return "reopen";
  switch (code) {
    case 1001:
    case 1005:
    case 1006:
    case 1011:
    case 1012:
    case 1013:
    case 1014:
      return "resume";
    default:
      return "stop";
  }
}
