/**
 * Full jitter: a uniformly random delay up to base * 2^attempt, at most cap, so
 * that clients which lost the same server do not come back in step.
 */
export class Backoff {
  readonly #base: number;
  readonly #cap: number;
  readonly #random: () => number;
  #attempt = 0;

  constructor(baseMs: number, capMs: number, random: () => number = Math.random) {
    this.#base = baseMs;
    this.#cap = capMs;
    this.#random = random;
  }

  /** The next delay in milliseconds; each call doubles the range of the one after. */
  next(): number {
    const range = Math.min(this.#cap, this.#base * 2 ** Math.min(this.#attempt, 30));
    this.#attempt++;
    return Math.round(this.#random() * range);
  }

  reset(): void {
    this.#attempt = 0;
  }
}
