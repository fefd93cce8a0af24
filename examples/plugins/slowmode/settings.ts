import { Bytes, fail, json } from "@heddle-rt/plugin";

const MOST: i64 = 24 * 3600; // seconds

/** What the config says. Every instance begins with what start() has left here. */
export abstract class settings {
  /** How long to wait, in milliseconds. */
  static wait: i64 = 0;
  /** Roles that need not. */
  static exempt: string[] = [];

  /** Reads the config; what is wrong with it fails the deploy. */
  static read(config: string): void {
    const object = Bytes.of(config);
    const seconds = json.int(object, "seconds", -1);
    if (seconds < 0 || seconds > MOST) {
      fail("config: seconds: want a whole number from 0, which is off, to " + MOST.toString());
      return;
    }
    settings.wait = seconds * 1000;
    const roles = json.find(object, "exempt");
    if (roles === null) return; // nobody is
    const list = json.items(roles);
    if (roles[0] != 0x5b) fail("config: exempt: want a list of roles");
    for (let i = 0; i < list.length; i++) {
      const role = json.unquote(list[i]);
      if (role == "") fail("config: exempt[" + i.toString() + "]: want a role, as in \"moderator\"");
      settings.exempt.push(role);
    }
  }
}
