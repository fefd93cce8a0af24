import { CLOSE_ABNORMAL } from "./closecodes.ts";
import type { Codec } from "./codec.ts";
import { DEFAULT_MAX_FRAME_BYTES, MAX_BATCH } from "./protocol.ts";
import type { Envelope } from "./protocol.ts";

/** The part of WebSocket that the client uses; the browser's and those of Node packages fit. */
export interface Socket extends SocketEvents {
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
  binaryType?: string;
  /** Bytes of the largest frame, if the server has bounded it. */
  readonly limit?: number;
}

export interface SocketEvents {
  onopen: ((event: unknown) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code?: number; reason?: string; retryAfterMs?: number | undefined }) => void) | null;
  onerror: ((event: unknown) => void) | null;
}

export type SocketConstructor = new (url: string, protocols: string[]) => Socket;

export interface ConnectionHandlers {
  opened(): void;
  received(envelope: Envelope): void;
  /** Something came, before what it holds is given to received(). */
  heard(): void;
  /** Called once; nothing follows it. */
  closed(code: number, reason: string, retryAfterMs?: number): void;
}

interface Waiting {
  part: string | Uint8Array;
  bytes: number;
}

// What an array of envelopes needs beside them: brackets, or MessagePack's head.
const BATCH_BYTES = 3;

/**
 * One WebSocket, or what looks like one. Envelopes written in one tick leave in one frame, as a batch.
 * After close() or drop() no handler is called any more.
 */
export class Connection {
  maxFrameBytes = DEFAULT_MAX_FRAME_BYTES;
  readonly #socket: Socket;
  readonly #codec: Codec;
  readonly #handlers: ConnectionHandlers;
  #waiting: Waiting[] = [];
  #done = false;

  constructor(socket: Socket, codec: Codec, handlers: ConnectionHandlers) {
    this.#handlers = handlers;
    this.#codec = codec;
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      if (!this.#done) handlers.opened();
    };
    socket.onmessage = (event) => this.#frame(event.data);
    // The close event that follows says all that can be known of an error.
    socket.onerror = () => {};
    socket.onclose = (event) => {
      if (this.#done) return;
      this.#done = true;
      handlers.closed(event.code || CLOSE_ABNORMAL, String(event.reason ?? ""), event.retryAfterMs);
    };
  }

  /**
   * Queues an envelope, already as JSON, for the frame that leaves at the end of
   * this tick. False if it is larger than a frame may be.
   */
  write(json: string): boolean {
    const part = this.#codec.encode(json);
    const bytes = this.#codec.bytes(part);
    if (bytes > this.#limit()) return false;
    if (this.#waiting.push({ part, bytes }) === 1) queueMicrotask(() => this.flush());
    return true;
  }

  /** Sends what is queued, in frames that respect the limits of envelopes and bytes. */
  flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    let batch: Waiting["part"][] = [];
    let total = BATCH_BYTES;
    for (const { part, bytes } of waiting) {
      if (batch.length === MAX_BATCH || (batch.length > 0 && total + bytes + 1 > this.#limit())) {
        this.#send(batch);
        batch = [];
        total = BATCH_BYTES;
      }
      batch.push(part);
      total += bytes + 1;
    }
    if (batch.length > 0) this.#send(batch);
  }

  /** Ends the connection and sends what is queued before that. */
  close(code: number, reason: string): void {
    this.flush();
    this.drop(code, reason);
  }

  /** Ends the connection as a lost network would: what is queued is not sent. */
  drop(code: number, reason: string): void {
    if (this.#done) return;
    this.#done = true;
    this.#waiting = [];
    try {
      this.#socket.close(code, reason);
    } catch {
      // A socket that cannot be closed is as good as closed.
    }
  }

  #limit(): number {
    return Math.min(this.maxFrameBytes, this.#socket.limit ?? Infinity);
  }

  #send(batch: Waiting["part"][]): void {
    if (this.#done) return;
    try {
      this.#socket.send(batch.length === 1 ? batch[0]! : this.#codec.batch(batch));
    } catch {
      // The socket is closing: its close event follows, and requests are repeated then.
    }
  }

  #frame(data: unknown): void {
    if (this.#done) return;
    this.#handlers.heard();
    if (data === "") return;
    let parsed: unknown;
    try {
      parsed = this.#codec.decode(data);
    } catch {
      return;
    }
    for (const envelope of Array.isArray(parsed) ? parsed : [parsed]) {
      if (this.#done) return;
      if (typeof envelope === "object" && envelope !== null) this.#handlers.received(envelope as Envelope);
    }
  }
}
