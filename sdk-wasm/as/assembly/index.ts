// Plugins of Heddle in AssemblyScript: see README.md.

export { Attribute } from "./attribute";
export { Bytes } from "./bytes";
export { AttrType, Codec, decides, Field, Hook, hookName, Status, statusName } from "./contract";
export { Event } from "./event";
export { fail } from "./failure";
export { config, count, gauge, lookup, now, observe, random, secret, Sum, Value } from "./host";
export { json } from "./json";
export { kv } from "./kv";
export { log } from "./log";
export { arenas } from "./memory";
export { on, onHook, start } from "./registry";
