import * as host from "./imports";
import { scratch } from "./memory";

function write(level: i32, text: string): void {
  const b = scratch();
  const n = b.add(text);
  host.log(level, b.address, n);
}

/** Lines that the tenant's developer reads. A call may log a few kilobytes; the rest is cut off. */
export abstract class log {
  static debug(text: string): void {
    write(0, text);
  }
  static info(text: string): void {
    write(1, text);
  }
  static warn(text: string): void {
    write(2, text);
  }
  static error(text: string): void {
    write(3, text);
  }
}
