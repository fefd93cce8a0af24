/**
 * Full jitter: a uniformly random delay up to base * growth^attempt, at most cap, so
 * that clients which lost the same server do not come back in step.
 */
export class Backoff {
  readonly #base: number;
  readonly #cap: number;
  readonly #random: () => number;
  readonly #growth: number;
  #attempt = 0;

  constructor(baseMs: number, capMs: number, random: () => number = Math.random, growth = 2) {
    this.#base = baseMs;
    this.#cap = capMs;
    this.#random = random;
    this.#growth = growth;
  }

  /** The next delay in milliseconds; each call lets the range of the one after grow. */
  next(): number {
    const range = Math.min(this.#cap, this.#base * this.#growth ** Math.min(this.#attempt, 30));
    this.#attempt++;
    return Math.round(this.#random() * range);
  }

  reset(): void {
    this.#attempt = 0;
  }
}
