import { log } from "./log";

/** Whether the plugin has said that it could not do what it was called for. */
export let failed: bool = false;

/**
 * Says that it could not be done, and logs why: in start() the deploy fails, in an
 * event's function the call, once the function has returned.
 */
export function fail(text: string): void {
  giveUp();
  log.error(text);
}

/** Has the call fail; the log says why. */
export function giveUp(): void {
  failed = true;
}

/** Begins a call. */
export function hope(): void {
  failed = false;
}
