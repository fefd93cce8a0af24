import { SUBPROTOCOL } from "./protocol.ts";

/** How envelopes are written in frames. Requests are kept as JSON, whatever it is. */
export interface Codec<Part extends string | Uint8Array = string | Uint8Array> {
  /** The WebSocket subprotocol. */
  readonly subprotocol: string;
  /** One envelope, which comes as JSON. */
  encode(json: string): Part;
  bytes(part: Part): number;
  /** A frame with several envelopes. */
  batch(parts: Part[]): Part;
  /** What a frame holds: an envelope or an array of them. Throws if it holds neither. */
  decode(frame: unknown): unknown;
}

const utf8 = new TextEncoder();

export const json: Codec<string> = {
  subprotocol: SUBPROTOCOL,
  encode: (text) => text,
  bytes: (text) => utf8.encode(text).length,
  batch: (texts) => `[${texts.join(",")}]`,
  decode: (frame) => JSON.parse(frame as string),
};
