import { HeddleError } from "./errors.ts";

export type TokenSource = string | (() => string | Promise<string>);

/** Keeps the token until it is refused; then the source is asked for a fresh one. */
export class Tokens {
  readonly #source: TokenSource | undefined;
  #token: string | undefined;

  constructor(source: TokenSource | undefined) {
    this.#source = source;
  }

  /** The token to connect with, undefined if the client has none. */
  async current(): Promise<string | undefined> {
    if (typeof this.#source !== "function") return this.#source;
    return this.#token ?? this.fresh();
  }

  /** Whether there is a source that can be asked for another token. */
  get renewable(): boolean {
    return typeof this.#source === "function";
  }

  /** Asks the source for another token, which also counts for the next connection. */
  async fresh(): Promise<string> {
    if (typeof this.#source !== "function") throw new HeddleError("token_failed", "there is no getToken to ask for another token");
    try {
      return (this.#token = await this.#source());
    } catch (cause) {
      throw new HeddleError("token_failed", "the token could not be had", { cause, retryable: true });
    }
  }

  /** The token was refused. False if there is no way to get another. */
  refresh(): boolean {
    this.#token = undefined;
    return this.renewable;
  }
}
