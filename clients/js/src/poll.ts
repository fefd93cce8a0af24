import { CLOSE_ABNORMAL } from "./closecodes.ts";
import type { Socket, SocketEvents } from "./connection.ts";

const SEPARATOR = "\x1e";
// How many packets the server takes in one POST.
const MAX_PACKETS = 4000;
// How long the last POST of a connection may take.
const FAREWELL_MS = 1000;

/** The reason of a connection that ends because the server does not serve polling. */
export const UNSERVED = "polling_unserved";

interface Refusal {
  code?: string;
  retry_after_ms?: number;
}

/**
 * HTTP long-polling that looks like a WebSocket: Engine.IO 4 as the server's
 * /v1/poll/ speaks it. One GET waits for what the server says; one POST at a time
 * carries what the client says meanwhile.
 */
export class PollSocket implements Socket {
  onopen: SocketEvents["onopen"] = null;
  onmessage: SocketEvents["onmessage"] = null;
  onclose: SocketEvents["onclose"] = null;
  onerror: SocketEvents["onerror"] = null;
  /** Bytes of the largest message that the server takes. */
  limit = Infinity;
  readonly #url: string;
  readonly #fetch: typeof fetch;
  readonly #abort = new AbortController();
  #sid = "";
  #outgoing: string[] = [];
  #posting = false;
  #silenceMs = 0; // how long a request may take; 0: as long as the caller waits
  #requests = 0;
  #done = false;

  constructor(url: string, fetcher: typeof fetch) {
    this.#url = `${url}${url.includes("?") ? "&" : "?"}EIO=4&transport=polling`;
    this.#fetch = fetcher;
    void this.#run();
  }

  send(message: string): void {
    this.#say("4" + message);
  }

  /** Says goodbye, behind what was sent. Only the server's codes mean something to it: these do not. */
  close(): void {
    if (this.#done) return;
    this.#done = true;
    if (this.#sid === "") {
      this.#abort.abort();
      return;
    }
    const end = setTimeout(() => this.#abort.abort(), FAREWELL_MS);
    const body = [...this.#outgoing, "1"].join(SEPARATOR);
    const posted = this.#posting ? Promise.reject(new Error("a POST is under way")) : this.#request({ method: "POST", body });
    // Without a goodbye the server learns by the GET that is gone.
    void posted.catch(() => {}).then(() => {
      clearTimeout(end);
      this.#abort.abort();
    });
  }

  async #run(): Promise<void> {
    try {
      this.#packets(await this.#request());
      while (!this.#done) this.#packets(await this.#request());
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #packets(text: string): void {
    if (text === "") throw new Error("an empty answer"); // of a proxy: there is always a packet
    // Even if no envelope came, something did.
    this.onmessage?.({ data: "" });
    for (const packet of text.split(SEPARATOR)) {
      if (this.#done) return;
      const body = packet.slice(1);
      if (packet[0] === "0") this.#opened(JSON.parse(body));
      else if (packet[0] === "4") this.onmessage?.({ data: body });
      else if (packet[0] === "2") this.#say("3");
      else if (packet[0] === "1") this.#end(Number.parseInt(body, 10) || CLOSE_ABNORMAL, body.replace(/^\d+ /, ""));
      else if (packet[0] !== "6") throw new Error("not a packet");
    }
  }

  #opened(hello: { sid: string; pingInterval: number; pingTimeout: number; maxPayload: number }): void {
    this.#sid = hello.sid;
    this.#silenceMs = hello.pingInterval + hello.pingTimeout;
    this.limit = hello.maxPayload - 1;
    this.onopen?.({});
  }

  #say(packet: string): void {
    if (this.#done) return;
    this.#outgoing.push(packet);
    if (!this.#posting) void this.#post();
  }

  // What is said while one POST is under way leaves with the next.
  async #post(): Promise<void> {
    this.#posting = true;
    await null; // what is said in this tick leaves together
    try {
      while (!this.#done && this.#outgoing.length > 0) await this.#request({ method: "POST", body: this.#payload() });
    } catch (thrown) {
      this.#fail(thrown);
    }
    this.#posting = false;
  }

  #payload(): string {
    let count = 0;
    // No character needs more than three bytes.
    for (let most = 0; count < this.#outgoing.length && count < MAX_PACKETS; count++) {
      most += 3 * this.#outgoing[count]!.length + 1;
      if (count > 0 && most > this.limit) break;
    }
    return this.#outgoing.splice(0, count).join(SEPARATOR);
  }

  async #request(init: RequestInit = {}): Promise<string> {
    const timer = this.#silenceMs > 0 ? setTimeout(() => this.#end(CLOSE_ABNORMAL, "poll_timeout"), this.#silenceMs) : undefined;
    try {
      const fetcher = this.#fetch; // called as a method of something else, the browser's refuses
      // Unlike any other request, for caches that heed nothing.
      const unique = `${Date.now().toString(36)}.${this.#requests++}`;
      const sid = this.#sid && `&sid=${encodeURIComponent(this.#sid)}`;
      const answer = await fetcher(`${this.#url}${sid}&t=${unique}`, {
        ...init, cache: "no-store", credentials: "include", signal: this.#abort.signal, // cookies are for load balancers
      });
      if (answer.ok) return await answer.text();
      const refusal = (await answer.json().catch(() => ({}))) as Refusal;
      const reason = refusal.code ?? (this.#sid === "" && [404, 405, 501].includes(answer.status) ? UNSERVED : `http_${answer.status}`);
      this.#end(CLOSE_ABNORMAL, reason, refusal.retry_after_ms);
      throw new Error(reason);
    } finally {
      clearTimeout(timer);
    }
  }

  #fail(thrown: unknown): void {
    this.#end(CLOSE_ABNORMAL, thrown instanceof SyntaxError ? "not_engine_io" : "");
  }

  #end(code: number, reason: string, retryAfterMs?: number): void {
    if (this.#done) return;
    this.#done = true;
    this.#abort.abort();
    this.onclose?.({ code, reason, retryAfterMs });
  }
}
