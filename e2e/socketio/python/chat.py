"""A chat of three people with python-socketio's client.

    chat.py URL TRANSPORTS

URL is a node for development with the namespace /shop of its own; TRANSPORTS is one
of polling, websocket, or both with a comma. It ends with 0 if all was as it should be.
"""

import json
import sys
import threading
import time
import urllib.request

import socketio

URL, TRANSPORTS = sys.argv[1], sys.argv[2].split(",")
PATIENCE = 20  # seconds

# The client handles each message in a thread of its own. One that began first is to end
# first, or an attachment may come before its packet.
sys.setswitchinterval(5)


def token(user):
    body = json.dumps({"user": user}).encode()
    with urllib.request.urlopen(urllib.request.Request(URL + "/dev/token", body)) as answer:
        return json.load(answer)["token"]


class Person:
    """Somebody with a client of their own, and what has come to each of its namespaces."""

    def __init__(self, user, namespaces=("/",)):
        self.user = user
        self.client = socketio.Client(reconnection=False)
        self.changed = threading.Condition()
        self.heard = {namespace: [] for namespace in namespaces}
        for namespace in namespaces:
            self.client.on("*", self._listener(namespace), namespace=namespace)
        self.client.connect(URL, auth={"token": token(user)}, transports=TRANSPORTS, namespaces=list(namespaces), wait_timeout=PATIENCE)

    def _listener(self, namespace):
        def take(action, data=None, meta=None, mark=None):
            with self.changed:
                self.heard[namespace].append((action, data, meta))
                self.changed.notify_all()

        return take

    def told(self, action, room, namespace="/"):
        events = [e for e in self.heard[namespace] if e[0] == action and e[2].get("room") == room]
        return sorted(events, key=lambda e: e[2]["offset"])  # see setswitchinterval

    def waits(self, what, why):
        with self.changed:
            assert self.changed.wait_for(what, PATIENCE), f"{self.user}: {why}; heard {self.heard}"

    def hears(self, room, count, namespace="/"):
        self.waits(lambda: len(self.told("message:send", room, namespace)) >= count, f"not {count} messages")
        return [data for _, data, _ in self.told("message:send", room, namespace)]

    def call(self, action, data, meta=None, namespace="/"):
        arguments = data if meta is None else (data, meta)
        for _ in range(100):
            ack = self.client.call(action, arguments, namespace=namespace, timeout=PATIENCE)
            assert isinstance(ack["ok"], bool), ack
            if ack["ok"] or not ack["error"]["retryable"]:
                break
            time.sleep((ack["error"].get("retry_after_ms") or 20) / 1000)
        return ack


def talk(people, room, each):
    before = len(people[0].told("message:send", room))
    failed = []

    def say(person):
        for i in range(each):
            ack = person.call("message:send", {"text": f"{person.user} {before} {i}", "room": room})
            if not ack["ok"]:
                failed.append(ack)

    threads = [threading.Thread(target=say, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    count = before + each * len(people)
    first = people[0].hears(room, count)
    assert len({data["text"] for data in first}) == len(first) == count, first
    for person in people[1:]:
        assert person.hears(room, count) == first, person.user
    offsets = [meta["offset"] for _, _, meta in people[0].told("message:send", room)]
    assert offsets == list(range(offsets[0], offsets[0] + count)), offsets


def main():
    room = "conv:python-" + "-".join(TRANSPORTS)
    ann, bob, cid = people = [Person("ann", ("/", "/shop")), Person("bob"), Person("cid")]
    ack = ann.call("room:create", {"room": room, "members": ["bob", "cid"]})
    assert ack["ok"] and ack["room"] == room, ack
    for person in people:
        person.waits(lambda p=person: any(e[0] == "room:added" and e[1]["room"] == room for e in p.heard["/"]), "not added")
    talk(people, room, 10)
    assert {p.client.transport() for p in people} == {TRANSPORTS[-1]}

    # Refusals are in acks.
    ack = bob.call("message:send", {"text": "nobody", "room": "conv:elsewhere"})
    assert not ack["ok"] and ack["error"]["code"] == "forbidden", ack
    ack = bob.call("message:send", {"text": "once"}, {"room": room, "id": "my-1"})
    again = bob.call("message:send", {"text": "once"}, {"room": room, "id": "my-1"})
    assert again["data"]["repeat"] and again["offset"] == ack["offset"], again

    # Namespaces have sessions of their own, and binary goes through them, too.
    everything = bytes(range(256))
    assert ann.client.get_sid("/") != ann.client.get_sid("/shop")
    assert not ann.call("message:send", {"text": "not joined", "room": room}, namespace="/shop")["ok"]
    assert ann.call("room:join", {"room": room}, namespace="/shop")["ok"]
    ack = bob.call("message:send", {"text": "file", "room": room, "body": {"parts": [everything, b"", "text"]}})
    assert ack["ok"], ack
    count = len(ann.hears(room, 32))
    assert count == 32, count
    for person, namespace, n in [(ann, "/", 32), (ann, "/shop", 1), (cid, "/", 32)]:
        assert person.hears(room, n, namespace)[-1]["body"] == {"parts": [everything, b"", "text"]}
    ack = ann.call("room:history", {"room": room, "limit": 5}, namespace="/shop")
    assert everything in find_bytes(ack["data"]), ack
    assert ann.call("message:send", {"text": "from the shop", "room": room}, namespace="/shop")["ok"]
    assert bob.hears(room, 33)[-1] == {"text": "from the shop"}

    # Who has no good token is refused, as is who wants a namespace that there is not.
    for auth, namespace in [({"token": "rubbish"}, "/"), ({"token": token("eve")}, "/nowhere")]:
        eve, why = socketio.Client(reconnection=False), []
        eve.on("connect_error", why.append, namespace=namespace)
        try:
            eve.connect(URL, auth=auth, transports=TRANSPORTS, namespaces=[namespace], wait_timeout=PATIENCE)
        except socketio.exceptions.ConnectionError:
            pass
        else:
            raise AssertionError(f"connected to {namespace}")
        assert why and why[0]["message"], why
        assert namespace != "/" or why[0]["data"]["code"] == "unauthenticated", why
    for person in people:
        person.client.disconnect()


def find_bytes(value):
    if isinstance(value, bytes):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [b for v in value for b in find_bytes(v)] if isinstance(value, list) else []


main()
