import { HeddleError } from "../../../clients/js/src/index.ts";

/** Why something was not done, and whether it may help to do it again. */
export interface Refusal {
  words: string;
  again: boolean;
}

// A limit that is over in a moment is waited for; who is to wait for longer wants to know.
const PATIENCE_MS = 5000;

// Of the client's own failures, those that say nothing of what was asked for.
const PASSING = new Set(["queue_full", "ack_timeout", "connection_lost", "outcome_unknown"]);

export const patient = (waitMs: number): boolean => waitMs <= PATIENCE_MS;

export function refusal(thrown: unknown): Refusal {
  if (!(thrown instanceof HeddleError)) return { words: String(thrown), again: false };
  return { words: thrown.message, again: thrown.retryable || PASSING.has(thrown.code) };
}
