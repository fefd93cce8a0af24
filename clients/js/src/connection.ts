import { CLOSE_ABNORMAL } from "./closecodes.ts";
import { DEFAULT_MAX_FRAME_BYTES, MAX_BATCH } from "./protocol.ts";
import type { Envelope } from "./protocol.ts";

/** The part of WebSocket that the client uses; the browser's and those of Node packages fit. */
export interface Socket {
  send(data: string): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
}

export type SocketConstructor = new (url: string, protocols: string[]) => Socket;

export interface ConnectionHandlers {
  opened(): void;
  received(envelope: Envelope): void;
  /** Called once; nothing follows it. */
  closed(code: number, reason: string): void;
}

const utf8 = new TextEncoder();

interface Waiting {
  json: string;
  bytes: number;
}

/**
 * One WebSocket. Envelopes written in one tick leave in one frame, as a batch.
 * After close() or drop() no handler is called any more.
 */
export class Connection {
  maxFrameBytes = DEFAULT_MAX_FRAME_BYTES;
  readonly #socket: Socket;
  readonly #handlers: ConnectionHandlers;
  #waiting: Waiting[] = [];
  #done = false;

  constructor(make: SocketConstructor, url: string, protocols: string[], handlers: ConnectionHandlers) {
    this.#handlers = handlers;
    const socket = (this.#socket = new make(url, protocols));
    socket.onopen = () => {
      if (!this.#done) handlers.opened();
    };
    socket.onmessage = (event: { data: unknown }) => this.#frame(event.data);
    // The close event that follows says all that can be known of an error.
    socket.onerror = () => {};
    socket.onclose = (event: { code?: number; reason?: string }) => {
      if (this.#done) return;
      this.#done = true;
      handlers.closed(event.code || CLOSE_ABNORMAL, String(event.reason ?? ""));
    };
  }

  /**
   * Queues an envelope, already as JSON, for the frame that leaves at the end of
   * this tick. False if it is larger than a frame may be.
   */
  write(json: string): boolean {
    const bytes = utf8.encode(json).length;
    if (bytes > this.maxFrameBytes) return false;
    if (this.#waiting.push({ json, bytes }) === 1) queueMicrotask(() => this.flush());
    return true;
  }

  /** Sends what is queued, in frames that respect the limits of envelopes and bytes. */
  flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    let batch: string[] = [];
    let total = 2; // the brackets
    for (const { json, bytes } of waiting) {
      if (batch.length === MAX_BATCH || (batch.length > 0 && total + bytes + 1 > this.maxFrameBytes)) {
        this.#send(batch);
        batch = [];
        total = 2;
      }
      batch.push(json);
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

  #send(batch: string[]): void {
    if (this.#done) return;
    try {
      this.#socket.send(batch.length === 1 ? batch[0]! : `[${batch.join(",")}]`);
    } catch {
      // The socket is closing: its close event follows, and requests are repeated then.
    }
  }

  #frame(data: unknown): void {
    if (this.#done || typeof data !== "string") return;
    let parsed: unknown;
    try {
      parsed = JSON.parse(data);
    } catch {
      return;
    }
    for (const envelope of Array.isArray(parsed) ? parsed : [parsed]) {
      if (this.#done) return;
      if (typeof envelope === "object" && envelope !== null) this.#handlers.received(envelope as Envelope);
    }
  }
}
