import type { Transport } from "./options.ts";

export interface ChoiceConfig {
  /** The first is begun with, the second fallen back to. */
  transports: Transport[];
  /** What is remembered belongs to it: the server's origin. */
  origin: string;
  storage: Pick<Storage, "getItem" | "setItem" | "removeItem"> | undefined;
  /** A WebSocket that does not last for so long is no good, and one that does is. */
  soundMs: number;
  /** How long it is remembered that a network wants polling. */
  rememberMs: number;
  /** The first pause between two attempts to leave polling, and the longest. */
  pauseMs: number;
  maxPauseMs: number;
}

// So many WebSockets in a row that end soon are one too many.
const STRIKES = 3;
// How long a server that does not serve polling is not asked for it again.
const UNSERVED_MS = 300_000;

/**
 * Which transport to connect with. A network that breaks WebSockets shows in three
 * ways: they do not open, they carry nothing, or they do not last. A server that is
 * away shows in the same ways, so polling is settled on only once it has worked
 * where a WebSocket has not.
 */
export class Choice {
  readonly #config: ChoiceConfig;
  readonly #key: string;
  #base: Transport;
  #misses = 0; // attempts in a row without a session, by way of #base
  #proven = false; // #base has worked
  #strikes = 0;
  #failures = 0; // to leave polling
  #pauseUntil = 0;
  #unservedUntil = 0;
  #sound: ReturnType<typeof setTimeout> | undefined;

  constructor(config: ChoiceConfig) {
    this.#config = config;
    this.#key = `heddle:polling:${config.origin}`;
    this.#base = this.#remembered() ? "polling" : config.transports[0]!;
  }

  /** Whether there is another transport to fall back to. */
  get spare(): boolean {
    return this.#config.transports.length > 1 && Date.now() >= this.#unservedUntil;
  }

  /** Whether a session over polling is to move to a WebSocket. */
  get upgradable(): boolean {
    return this.#config.transports.includes("websocket");
  }

  /** The transport of the next attempt. */
  next(): Transport {
    if (!this.spare) return this.#config.transports.length > 1 ? "websocket" : this.#config.transports[0]!;
    if (this.#misses < (this.#proven ? 2 : 1)) return this.#base;
    return this.#base === "websocket" ? "polling" : "websocket";
  }

  /** An attempt led to no session, and nobody says why. */
  failed(transport: Transport): void {
    this.#misses = transport === this.#base ? this.#misses + 1 : 0;
  }

  /** The server does not serve polling. */
  unserved(): void {
    this.#unservedUntil = Date.now() + UNSERVED_MS;
    this.#settle("websocket");
  }

  /** A session is open. */
  worked(transport: Transport): void {
    this.#misses = 0;
    if (transport === "websocket") {
      clearTimeout(this.#sound);
      this.#sound = setTimeout(() => this.#isSound(), this.#config.soundMs);
    } else if (this.#base === "websocket") this.#settle("polling");
    this.#proven ||= transport === this.#base;
  }

  /** A connection with a session has ended; `broken` if the network may be why, after so long. */
  ended(transport: Transport, broken: boolean, lastedMs: number): void {
    clearTimeout(this.#sound);
    if (transport !== "websocket" || !broken || !this.spare) return;
    if (lastedMs >= this.#config.soundMs) this.#isSound();
    else if (++this.#strikes >= STRIKES) {
      this.#settle("polling");
      this.stayed();
    }
  }

  /** Milliseconds until it is worth to try a WebSocket, from polling. */
  get pause(): number {
    return Math.max(0, this.#pauseUntil - Date.now());
  }

  /** An attempt to leave polling has failed. */
  stayed(): void {
    const pause = Math.min(this.#config.maxPauseMs, this.#config.pauseMs * 2 ** Math.min(this.#failures++, 20));
    this.#pauseUntil = Date.now() + pause * (0.75 + Math.random() / 2);
  }

  /** It is another network: what was learnt does not count. */
  forget(): void {
    this.#unservedUntil = this.#misses = 0;
    this.#isSound();
  }

  stop(): void {
    clearTimeout(this.#sound);
  }

  #isSound(): void {
    this.#strikes = this.#failures = this.#pauseUntil = 0;
    this.#settle(this.#config.transports[0]!);
  }

  #settle(base: Transport): void {
    if (base !== this.#base) this.#proven = false;
    this.#base = base;
    const { storage, rememberMs, transports } = this.#config;
    if (transports[0] !== "websocket") return;
    try {
      if (base === "polling") storage?.setItem(this.#key, String(Date.now() + rememberMs));
      else storage?.removeItem(this.#key);
    } catch {
      // A storage that is full or forbidden remembers nothing.
    }
  }

  #remembered(): boolean {
    if (!this.#config.transports.includes("polling")) return false;
    try {
      return Number(this.#config.storage?.getItem(this.#key)) > Date.now();
    } catch {
      return false;
    }
  }
}
