import { Backoff } from "./backoff.ts";
import type { HeddleError } from "./errors.ts";

const ATTEMPTS = 6;

/** Has the token replaced when the server says that it expires, and tries again for a while if that fails. */
export class Refresh {
  readonly #refresh: () => Promise<unknown>;
  readonly #failed: (error: HeddleError) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #run = 0;

  constructor(refresh: () => Promise<unknown>, failed: (error: HeddleError) => void) {
    this.#refresh = refresh;
    this.#failed = failed;
  }

  start(): void {
    this.stop();
    void this.#attempt(this.#run, new Backoff(1000, 20_000), ATTEMPTS);
  }

  /** The connection is over: the next one brings a token of its own. */
  stop(): void {
    this.#run++;
    clearTimeout(this.#timer);
  }

  async #attempt(run: number, backoff: Backoff, left: number): Promise<void> {
    try {
      await this.#refresh();
    } catch (thrown) {
      if (run !== this.#run) return;
      const error = thrown as HeddleError;
      this.#failed(error);
      if (error.retryable && left > 1) this.#timer = setTimeout(() => void this.#attempt(run, backoff, left - 1), backoff.next());
    }
  }
}
