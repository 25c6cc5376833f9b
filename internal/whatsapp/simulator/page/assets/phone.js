// The phone page's only script. The server draws; this asks each second whether anything changed, puts what it drew in
// place, and posts what the customer does.
"use strict";

const body = document.body;
const phone = body.dataset.phone;
const chat = document.getElementById("chat");
const people = document.getElementById("people");
const now = document.getElementById("now");
const alertBox = document.getElementById("alert");
const drawn = new Map(); // message id -> the HTML that it was drawn from
let version = body.dataset.version;
let unread = body.dataset.unread === "true";

function say(problem) {
  alertBox.textContent = problem;
  alertBox.hidden = !problem;
}

async function post(path, content) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: {"Content-Type": "application/json"},
      body: JSON.stringify(content),
    });
    if (answer.ok) {
      say("");
      return true;
    }
    const problem = await answer.json().catch(() => ({}));
    say(problem.detail || "That did not work (" + answer.status + ").");
  } catch {
    say("The simulator does not answer.");
  }
  return false;
}

const mine = (rest) => "/people/" + encodeURIComponent(phone) + rest;

function toEnd() {
  if (chat) chat.scrollTop = chat.scrollHeight;
}

// drawChat replaces only the messages that changed, so that an open list, the focus, and a screen reader's place stay.
function drawChat(html) {
  const atEnd = chat.scrollHeight - chat.scrollTop - chat.clientHeight < 40;
  const fresh = document.createElement("template");
  fresh.innerHTML = html; // the server has escaped it
  for (const item of [...fresh.content.children]) {
    const old = document.getElementById(item.id);
    const source = item.outerHTML;
    if (old && drawn.get(item.id) === source) continue;
    drawn.set(item.id, source);
    if (!old) {
      chat.append(item);
      continue;
    }
    const open = old.querySelector("details");
    if (open && open.open) item.querySelector("details").open = true;
    old.replaceWith(item);
  }
  if (atEnd) toEnd();
}

function drawPeople(html) {
  const focused = document.activeElement && document.activeElement.getAttribute("href");
  people.innerHTML = html; // the server has escaped it
  if (focused) for (const a of people.querySelectorAll("a")) if (a.getAttribute("href") === focused) a.focus();
}

async function look() {
  const answer = await fetch("/page/live?seen=" + version + "&phone=" + encodeURIComponent(phone));
  if (!answer.ok) throw new Error(answer.status);
  const live = await answer.json();
  now.textContent = live.now;
  version = live.version;
  unread = live.unread;
  if (live.people !== undefined) drawPeople(live.people);
  if (live.chat !== undefined && chat) drawChat(live.chat);
}

let looking = null;
async function refresh() {
  looking ??= look().catch(() => {}).finally(() => { looking = null; });
  await looking;
  // What is on the screen has been read.
  if (chat && unread && document.visibilityState === "visible") {
    unread = false;
    await post(mine("/read"), {});
  }
}

if (chat) {
  for (const item of chat.children) drawn.set(item.id, item.outerHTML);
  toEnd();

  chat.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.copy !== undefined) {
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        say("Copied " + button.dataset.copy);
      } catch {
        say("The code is " + button.dataset.copy);
      }
      return;
    }
    button.disabled = true;
    if (await post(mine("/messages"), {press: button.dataset.press, reply_to: button.dataset.message})) {
      const list = button.closest("details");
      if (list) list.open = false;
      await refresh();
      toEnd();
    }
    button.disabled = false;
  });

  const form = document.getElementById("write");
  const text = document.getElementById("text");
  text.focus();
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (await post(mine("/messages"), {text: text.value})) {
      text.value = "";
      await refresh();
      toEnd();
    }
    text.focus();
  });
}

document.getElementById("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const number = document.getElementById("add-phone").value.replace(/[\s()-]/g, "");
  const name = document.getElementById("add-name").value.trim();
  const content = name ? {phone: number, name} : {phone: number};
  if (await post("/people", content)) location.assign("/?phone=" + encodeURIComponent(number));
});

document.addEventListener("visibilitychange", refresh);
setInterval(refresh, 1000);
refresh();
