import { Attribute } from "./attribute";
import { Bytes } from "./bytes";
import {
  ActionKind, AT_ATTEMPT, AT_ATTRIBUTES, AT_ATTRS, AT_CODEC, AT_CONNECTION, AT_FLAGS, AT_HOOK, AT_PAYLOAD, AT_SEQUENCE,
  AT_TEXTS, AT_TIME, AT_WHOLE, AttrType, Codec, DropCode, EMIT_DURABLE, Field, FLAG_DURABLE, FLAG_PREFIX, FLAG_SERVER,
  Hook, Status,
} from "./contract";
import { fail } from "./failure";
import * as host from "./imports";
import * as out from "./output";
import { decode, same } from "./utf8";

// There is one Event, which stands for one record after the other. Strings that a
// plugin has asked for are kept for the second time it asks.
const strings: StaticArray<string> = new StaticArray<string>(6);
let known: u32 = 0; // bit n: strings[n] is of this record

/**
 * Event is what a function is called with. It is read where it lies, and is good
 * until the function returns. What is to be done about it returns OK, or Failed if
 * the output has no room for it: then the call has failed. The node runs its events
 * again in smaller ones; alone, an event has the whole output.
 */
@unmanaged @final
export class Event {
  private at: usize = 0;
  private index: i32 = 0;

  /** @internal */
  open(at: usize, index: i32): void {
    this.at = at;
    this.index = index;
    known = 0;
  }

  get hook(): Hook {
    return <Hook>load<u8>(this.at + AT_HOOK);
  }
  get codec(): Codec {
    return <Codec>load<u8>(this.at + AT_CODEC);
  }
  /** 0, and 1 if the event is run again after its call has failed. */
  get attempt(): u32 {
    return load<u32>(this.at + AT_ATTEMPT);
  }
  /** Counts the events of this version on this node. */
  get sequence(): u64 {
    return load<u64>(this.at + AT_SEQUENCE);
  }
  /** Unix milliseconds. */
  get time(): i64 {
    return load<i64>(this.at + AT_TIME);
  }
  /** On this node; 0 for none. */
  get connection(): u64 {
    return load<u64>(this.at + AT_CONNECTION);
  }
  /** Whether the event will have, or has, a position. */
  get durable(): bool {
    return this.flag(FLAG_DURABLE);
  }
  /** Whether the tenant's own backend sends it, no user. */
  get server(): bool {
    return this.flag(FLAG_SERVER);
  }
  /** Whether `payload` is only the beginning. */
  get prefix(): bool {
    return this.flag(FLAG_PREFIX);
  }

  get tenant(): string {
    return this.string(Field.Tenant);
  }
  get user(): string {
    return this.string(Field.User);
  }
  get device(): string {
    return this.string(Field.Device);
  }
  get room(): string {
    return this.string(Field.Room);
  }
  get action(): string {
    return this.string(Field.Action);
  }
  get id(): string {
    return this.string(Field.ID);
  }

  // Comparing does not convert.
  isUser(user: string): bool {
    return this.is(Field.User, user);
  }
  isRoom(room: string): bool {
    return this.is(Field.Room, room);
  }
  isAction(action: string): bool {
    return this.is(Field.Action, action);
  }
  /** Whether a field is this text. */
  is(field: Field, text: string): bool {
    const ref = this.at + AT_TEXTS + (<usize>field << 3);
    return same(this.at + load<u32>(ref), load<u32>(ref, 4), text);
  }
  /** A field as it lies there. */
  view(field: Field): Bytes {
    return this.bytes(AT_TEXTS + (<usize>field << 3));
  }

  /** What of the payload is in the record: see `prefix` and `payloadFrom`. */
  get payload(): Bytes {
    return this.bytes(AT_PAYLOAD);
  }
  /** How many bytes the whole payload has. */
  get payloadSize(): u32 {
    return load<u32>(this.at + AT_WHOLE);
  }
  /** Reads bytes of the whole payload from an offset on: how many, or a Status below 0. */
  payloadFrom(offset: i32, buffer: Uint8Array): i32 {
    return host.payload(this.index, offset, buffer.dataStart, buffer.byteLength);
  }

  /** How many attributes there are, of which those that the event does not have have type None. */
  get attributes(): i32 {
    return load<i32>(this.at + AT_ATTRIBUTES);
  }
  /** Attribute i; those that the manifest declares come first and in its order. */
  attribute(i: i32): Attribute {
    if (<u32>i >= <u32>this.attributes) throw new RangeError("there is no attribute " + i.toString());
    let at = this.at + load<u32>(this.at + AT_ATTRS);
    while (i-- > 0) at += load<u32>(at);
    return changetype<Attribute>(at);
  }
  /** The attribute of that name; null if the event does not have it. */
  find(name: string): Attribute | null {
    let at = this.at + load<u32>(this.at + AT_ATTRS);
    for (let n = this.attributes; n > 0; n--) {
      const a = changetype<Attribute>(at);
      if (a.isNamed(name)) return a.type == AttrType.None ? null : a;
      at += load<u32>(at);
    }
    return null;
  }
  has(name: string): bool {
    return this.find(name) !== null;
  }
  bool(name: string, otherwise: bool = false): bool {
    const a = this.find(name);
    return a && a.type == AttrType.Bool ? a.bool : otherwise;
  }
  int(name: string, otherwise: i64 = 0): i64 {
    const a = this.find(name);
    return a && a.type == AttrType.Int ? a.int : otherwise;
  }
  /** A float, or an int as one. */
  float(name: string, otherwise: f64 = 0): f64 {
    const a = this.find(name);
    return a && (a.type == AttrType.Float || a.type == AttrType.Int) ? a.float : otherwise;
  }
  text(name: string, otherwise: string = ""): string {
    const a = this.find(name);
    return a && a.type == AttrType.Text ? a.text : otherwise;
  }
  /** An object or array, as JSON. */
  json(name: string, otherwise: string = ""): string {
    const a = this.find(name);
    return a && a.type == AttrType.JSON ? a.json : otherwise;
  }

  /** Lets the event go on; the same as saying nothing. */
  pass(): Status {
    out.begin(ActionKind.Pass, this.index);
    return out.end(0);
  }
  /** Refuses it: the sender may not. */
  forbid(text: string): Status {
    return this.drop(DropCode.Forbidden, text);
  }
  /** Refuses it: something is wrong with it. The text may begin with a field: "data.text: too long". */
  invalid(text: string): Status {
    return this.drop(DropCode.Invalid, text);
  }
  /** Refuses it for now. */
  rateLimit(text: string, retryAfterMs: i64): Status {
    return this.drop(DropCode.RateLimited, text, retryAfterMs);
  }
  /** Refuses it, and the sender is told that all went well. */
  dropSilently(): Status {
    return this.drop(DropCode.Silently, "");
  }
  /** Gives the event another payload, a JSON object. */
  replace<T>(json: T): Status {
    out.begin(ActionKind.Replace, this.index);
    out.refer(0, json);
    return out.end(1);
  }
  /** Gives the event an attribute that plugins behind this one, and receivers, see; a text is "\"fr\"". */
  setAttr<T>(name: string, json: T): Status {
    out.begin(ActionKind.SetAttr, this.index);
    out.refer(0, name);
    out.refer(1, json);
    return out.end(2);
  }
  /** Sends an event. In a room of a user, to one device of that user's if it is named. Capability: emit. */
  emit<T>(room: string, action: string, payload: T, durable: bool = false, device: string = ""): Status {
    out.begin(ActionKind.Emit, this.index, durable ? EMIT_DURABLE : 0);
    out.refer(0, room);
    out.refer(1, action);
    out.refer(2, payload);
    out.refer(3, device);
    return out.end(4);
  }
  /** Sends the event to another room than it names. Capability: emit. */
  route(room: string): Status {
    out.begin(ActionKind.Route, this.index);
    out.refer(0, room);
    return out.end(1);
  }
  /** What the sender's ack, or the HTTP answer, carries. */
  reply<T>(json: T): Status {
    out.begin(ActionKind.Reply, this.index);
    out.refer(0, json);
    return out.end(1);
  }
  /** The HTTP answer, of hook Request. */
  respond<T>(status: i32, contentType: string, body: T): Status {
    out.begin(ActionKind.Reply, this.index, 0, status);
    out.refer(0, body);
    out.refer(1, contentType);
    return out.end(2);
  }
  /**
   * Sends an HTTP request. Headers are lines "name: value"; the answer comes as an
   * event of hook Response that brings the tag back. Capability: http.
   */
  http<T>(method: string, url: string, headers: string, body: T, tag: string, timeoutMs: i64): Status {
    out.begin(ActionKind.HTTP, this.index, 0, 0, timeoutMs);
    const from = out.here();
    out.put(method);
    out.put(" ");
    out.put(url);
    out.reference(0, from);
    out.refer(1, headers);
    out.refer(2, body);
    out.refer(3, tag);
    return out.end(4);
  }
  /** Has hook Timer called; one timer for each name. Capability: timers. */
  setTimer<T>(name: string, inMs: i64, payload: T): Status {
    out.begin(ActionKind.SetTimer, this.index, 0, 0, inMs);
    out.refer(0, name);
    out.refer(1, "");
    out.refer(2, payload);
    return out.end(3);
  }
  /** Takes a timer back. */
  cancelTimer(name: string): Status {
    out.begin(ActionKind.CancelTimer, this.index);
    out.refer(0, name);
    return out.end(1);
  }
  /** Says that it could not be done: the log says why, and nothing of this call is. */
  fail(text: string): void {
    fail(text);
  }

  private drop(code: DropCode, text: string, number: i64 = 0): Status {
    out.begin(ActionKind.Drop, this.index, 0, code, number);
    out.refer(0, text);
    return out.end(1);
  }
  private flag(f: u32): bool {
    return (load<u32>(this.at + AT_FLAGS) & f) != 0;
  }
  private bytes(ref: usize): Bytes {
    return new Bytes(this.at + load<u32>(this.at + ref), load<i32>(this.at + ref, 4));
  }
  private string(field: Field): string {
    if (!(known & (1 << field))) {
      const ref = this.at + AT_TEXTS + (<usize>field << 3);
      strings[field] = decode(this.at + load<u32>(ref), load<i32>(ref, 4));
      known |= 1 << field;
    }
    return strings[field];
  }
}
