// The entry of the page. The address says who is here and where: #ann or #ann/conv:lobby.
import { startChat } from "./chat.ts";
import { byId } from "./dom.ts";

function here(): { user: string; room: string | undefined } {
  const [user = "", room] = decodeURIComponent(location.hash.slice(1)).split("/", 2);
  return { user, room };
}

function signIn(user: string, room: string | undefined): void {
  byId("sign-in").hidden = true;
  byId("app").hidden = false;
  byId("me").textContent = user;
  history.replaceState(null, "", `#${user}${room ? `/${room}` : ""}`);
  const client = startChat(user, room, (open) => history.replaceState(null, "", `#${user}${open ? `/${open.id}` : ""}`));
  byId("sign-out").addEventListener("click", () => {
    void client.close().then(() => {
      history.replaceState(null, "", "#");
      location.reload();
    });
  });
  // Another name in the address is another window's worth of session.
  window.addEventListener("hashchange", () => {
    if (here().user !== user) location.reload();
  });
}

byId("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(byId<HTMLInputElement>("user").value, undefined);
});

const { user, room } = here();
if (/^[a-z0-9_.-]+$/.test(user)) signIn(user, room);
else byId("user").focus();
