// The phone page's only script. The server draws; this waits for what changed, puts what was drawn in place, and posts what the
// customer does.
"use strict";

const $ = (id) => document.getElementById(id);
const body = document.body;
const phone = body.dataset.phone;
const words = JSON.parse(body.dataset.words);
const chat = $("chat");
const scroll = $("scroll");
const people = $("people");
const text = $("text");
const address = new URL(location.href);
let version = body.dataset.version;
let unread = body.dataset.unread === "true";

// The notice at the bottom: what went wrong stays until something goes right, good news goes by itself.
let goes = 0;
function say(what, good) {
  clearTimeout(goes);
  $("alert").textContent = what;
  $("alert").hidden = !what;
  if (good) goes = setTimeout(() => say(""), 2500);
}

async function call(method, path, content, headers) {
  try {
    const answer = await fetch(path, {
      method,
      headers: headers || {"Content-Type": "application/json"},
      body: content instanceof Blob ? content : JSON.stringify(content || {}),
    });
    if (answer.ok) {
      say("");
      return true;
    }
    const problem = await answer.json().catch(() => ({}));
    say(problem.detail || words.went_wrong + " (" + answer.status + ")");
  } catch {
    say(words.no_answer);
  }
  return false;
}

const mine = (rest) => "/people/" + encodeURIComponent(phone) + rest;

// act posts, and shows what came of it.
async function act(method, path, content, headers) {
  const ok = await call(method, path, content, headers);
  if (ok) await refresh();
  return ok;
}

const atEnd = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60;
function toEnd() {
  if (scroll) scroll.scrollTop = scroll.scrollHeight;
}

// The clock goes on between two looks at the business's time and speed.
const clocks = document.querySelectorAll(".clock time");
const days = words.days.split(" ");
const months = words.months.split(" ");
let clock = {at: +body.dataset.at, speed: +body.dataset.speed, offset: +body.dataset.offset, zone: body.dataset.zone, since: performance.now()};
const businessTime = () => clock.at + (performance.now() - clock.since) * clock.speed;
const two = (n) => String(n).padStart(2, "0");
function tick() {
  const t = new Date(businessTime() + clock.offset * 1000);
  const shown = days[t.getUTCDay()].slice(0, 3) + words.after_day + " " + t.getUTCDate() + words.after_number + " " + months[t.getUTCMonth()].slice(0, 3) + " " +
    t.getUTCFullYear() + " " + two(t.getUTCHours()) + ":" + two(t.getUTCMinutes()) + ":" + two(t.getUTCSeconds()) + " " + clock.zone;
  for (const c of clocks) if (c.textContent !== shown) c.textContent = shown;
  for (const end of document.querySelectorAll("[data-ends]")) {
    const left = Math.floor((end.dataset.ends - businessTime()) / 1000);
    const d = Math.floor(left / 86400), h = Math.floor(left / 3600) % 24, m = Math.floor(left / 60) % 60;
    const rest = d > 0 ? d + " d " + h + " h" : h > 0 ? h + " h " + m + " min" : m > 0 ? m + " min " + (left % 60) + " s" : left + " s";
    const words_ = left > 0 ? words.ends_in.replace("%s", rest) : words.ended;
    if (end.textContent !== words_) end.textContent = words_;
    end.classList.toggle("over", left <= 0);
  }
}

function parts(html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html; // the server has escaped it
  return [...fresh.content.children];
}

// drawChat replaces only the messages that changed, so that the focus and a screen reader's place stay.
function drawChat(html, all) {
  const end = atEnd();
  if (all) chat.replaceChildren();
  const first = chat.firstElementChild ? +chat.firstElementChild.dataset.n : 0;
  for (const item of parts(html)) {
    const old = $(item.id);
    if (old) {
      const focused = old.contains(document.activeElement) && [...old.querySelectorAll("a,button")].indexOf(document.activeElement);
      old.replaceWith(item);
      if (focused !== false && focused >= 0) item.querySelectorAll("a,button")[focused]?.focus({preventScroll: true});
      continue;
    }
    const n = +item.dataset.n;
    if (n < first) continue; // comes with the earlier ones
    let after = chat.lastElementChild;
    while (after && +after.dataset.n > n) after = after.previousElementSibling;
    if (after) after.after(item);
    else chat.prepend(item);
  }
  if (end) toEnd();
}

// drawPeople puts those who changed at their place: the newest message first.
function drawPeople(html, all) {
  const focused = document.activeElement && document.activeElement.getAttribute("href");
  if (all) people.replaceChildren();
  const there = new Map([...people.children].map((li) => [li.dataset.phone, li]));
  for (const item of parts(html)) {
    there.get(item.dataset.phone)?.remove();
    let before = people.firstElementChild;
    while (before && +before.dataset.at > +item.dataset.at) before = before.nextElementSibling;
    people.insertBefore(item, before);
  }
  if (focused) for (const a of people.querySelectorAll("a")) if (a.getAttribute("href") === focused) a.focus({preventScroll: true});
  find();
}

let typed = 0;
function showTyping(ms) {
  clearTimeout(typed);
  const end = atEnd();
  $("typing").hidden = ms <= 0;
  $("sub").textContent = ms > 0 ? words.typing : $("sub").dataset.rest;
  $("sub").classList.toggle("types", ms > 0);
  if (ms > 0) typed = setTimeout(() => showTyping(0), ms);
  if (end) toEnd();
}

function take(live) {
  clock = {...live.clock, since: performance.now()};
  version = live.version;
  unread = live.unread;
  if (live.people !== undefined) drawPeople(live.people, live.fresh);
  if (chat) {
    if (live.chat !== undefined) drawChat(live.chat, live.fresh);
    showTyping(live.typing);
    body.classList.toggle("blocked", live.blocked);
    body.classList.toggle("stopped", live.stopped);
  }
  tick();
}

async function look(wait, signal) {
  const at = "/page/live?seen=" + version + "&phone=" + encodeURIComponent(phone) + "&lang=" + document.documentElement.lang + (wait ? "&wait=1" : "");
  const answer = await fetch(at, {signal});
  if (!answer.ok) throw new Error(answer.status);
  const live = await answer.json();
  if (!signal || !signal.aborted) take(live);
}

let reading = false;
async function markRead() {
  // What is on the screen has been read.
  if (!chat || !unread || reading || document.visibilityState !== "visible") return;
  reading = true;
  unread = false;
  await call("POST", mine("/read"));
  reading = false;
}

async function refresh() {
  await look(false).catch(() => {});
  await markRead();
}

// watch waits for news while the page is seen, and asks now and then while it is not: a browser has few connections to give.
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
async function watch() {
  for (;;) {
    const seen = document.visibilityState === "visible";
    try {
      await look(seen);
      await markRead();
      if (!seen) await pause(3000);
    } catch {
      await pause(1000);
    }
  }
}

// The list of people.
function find() {
  const wanted = $("search").value.trim().toLowerCase();
  const digits = wanted.replace(/[\s()+-]/g, "");
  let n = 0;
  for (const li of people.children) {
    const name = li.querySelector(".who b").textContent.toLowerCase();
    li.hidden = !(name.includes(wanted) || (/^\d+$/.test(digits) && li.dataset.phone.includes(digits)));
    if (!li.hidden) n++;
  }
  $("nobody").hidden = n > 0 || !wanted;
}
$("search").addEventListener("input", find);
$("search").addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    $("search").value = "";
    find();
  }
  if (event.key === "Enter") people.querySelector("li:not([hidden]) a")?.click();
});
people.addEventListener("click", (event) => {
  // The text of a wa.me link goes with whoever is chosen.
  const a = event.target.closest("a");
  const said = address.searchParams.get("text");
  if (a && said && !phone) a.href += "&text=" + encodeURIComponent(said);
});
$("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const number = "+" + $("add-phone").value.replace(/[^\d]/g, "");
  const content = {phone: number, language: $("add-lang").value};
  if ($("add-name").value.trim()) content.name = $("add-name").value.trim();
  if (await call("POST", "/people", content)) location.assign("/?phone=" + encodeURIComponent(number));
});
$("lang").addEventListener("change", async () => {
  const language = $("lang").value;
  if (phone && people.querySelector('[aria-current="page"]') && !(await call("POST", "/people", {phone, language}))) return;
  address.searchParams.set("lang", language);
  location.replace(address);
});

// copy answers whether the text is on the clipboard.
async function copy(what) {
  try {
    await navigator.clipboard.writeText(what);
    return true;
  } catch {
    const box = document.createElement("textarea");
    box.value = what;
    body.append(box);
    box.select();
    const ok = document.execCommand("copy");
    box.remove();
    return ok;
  }
}

if (chat) {
  const form = $("write");
  const draft = "draft " + phone;
  let answering = null; // the message that is answered
  let editing = null; // the message that is changed

  const kept = sessionStorage.getItem(draft);
  if (!text.value && kept) text.value = kept;
  const grow = () => {
    text.style.height = "auto";
    text.style.height = Math.min(text.scrollHeight + 2, 140) + "px";
    if (!editing) sessionStorage.setItem(draft, text.value);
  };
  grow();

  function about(title, item, act_) {
    answering = act_ === "reply" ? item : null;
    editing = act_ === "edit" ? item : null;
    $("about").hidden = !item;
    if (item) {
      $("about-title").textContent = title;
      $("about-text").textContent = plain(item);
    }
    text.focus();
  }
  const plain = (item) => (item.querySelector(".text") || item.querySelector(".doc b, .place b, .pic b") || item.querySelector(".bubble")).textContent.trim();
  function rest() {
    if (editing) text.value = sessionStorage.getItem(draft) || "";
    about("", null, "");
    grow();
  }
  $("about-cancel").addEventListener("click", rest);

  async function press(button, message) {
    button.disabled = true;
    const ok = await act("POST", mine("/messages"), {press: button.dataset.press, reply_to: message});
    button.disabled = false;
    if (ok) toEnd();
    return ok;
  }

  // The menu of a message, beside its button.
  const actions = $("actions");
  let target = null;
  function openActions(button) {
    target = button.closest("li");
    actions.querySelector('[data-act="edit"]').hidden = target.dataset.edit === undefined;
    actions.querySelector('[data-act="delete"]').hidden = target.dataset.mine === undefined;
    actions.querySelector('[data-act="copy"]').hidden = !target.querySelector(".text");
    for (const b of actions.querySelectorAll("[data-react]")) {
      const on = b.dataset.react === target.dataset.ours;
      b.classList.toggle("on", on);
      b.setAttribute("aria-label", on ? words.take_back + " " + b.dataset.react : words.react + " " + b.dataset.react);
    }
    actions.showPopover();
    const at = button.getBoundingClientRect();
    const size = actions.getBoundingClientRect();
    actions.style.left = Math.max(8, Math.min(at.right - size.width, innerWidth - size.width - 8)) + "px";
    actions.style.top = Math.max(8, at.bottom + size.height + 8 > innerHeight ? at.top - size.height - 4 : at.bottom + 4) + "px";
    actions.querySelector("button").focus();
  }
  actions.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button || !target) return;
    const item = target;
    actions.hidePopover();
    if (button.dataset.react) {
      const emoji = item.dataset.ours === button.dataset.react ? "" : button.dataset.react;
      await act("POST", mine("/reactions"), {message_id: item.id, emoji});
    } else if (button.dataset.act === "reply") {
      about(words.replying, item, "reply");
    } else if (button.dataset.act === "copy") {
      if (await copy(plain(item))) say(words.copied, true);
    } else if (button.dataset.act === "edit") {
      about(words.editing, item, "edit");
      text.value = item.dataset.text ?? plain(item);
      grow();
    } else if (button.dataset.act === "delete") {
      await act("DELETE", mine("/messages/" + encodeURIComponent(item.id)));
    }
  });

  chat.addEventListener("click", async (event) => {
    const quote = event.target.closest("blockquote");
    if (quote) {
      const there = $(quote.dataset.to);
      if (there) {
        there.scrollIntoView({block: "center", behavior: "smooth"});
        there.classList.add("flash");
        setTimeout(() => there.classList.remove("flash"), 1200);
      }
      return;
    }
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.copy !== undefined) {
      const ok = await copy(button.dataset.copy);
      say(ok ? words.code_copied + ": " + button.dataset.copy : button.dataset.copy, true);
      if (ok) {
        const label = button.querySelector("span");
        const was = label.textContent;
        label.textContent = words.copied + " ✓";
        setTimeout(() => { label.textContent = was; }, 2000);
      }
    } else if (button.dataset.more !== undefined) {
      openActions(button);
    } else if (button.dataset.list !== undefined) {
      const item = button.closest("li");
      $("rows").replaceChildren(item.querySelector("template").content.cloneNode(true));
      $("sheet-title").textContent = button.textContent;
      $("sheet").dataset.message = item.id;
      $("sheet").showModal();
    } else if (button.dataset.press !== undefined) {
      await press(button, button.closest("li").id);
    }
  });
  $("rows").addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (button && await press(button, $("sheet").dataset.message)) $("sheet").close();
  });

  text.addEventListener("input", grow);
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
    if (event.key === "Escape" && !$("about").hidden) rest();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = text.value;
    if (!said.trim()) return;
    // What comes next may begin before the answer to this: the form is free at once, and gets its words back if it is refused.
    const edited = editing;
    const answered = answering;
    if (edited) rest();
    else {
      text.value = "";
      about("", null, "");
    }
    grow();
    const ok = edited
      ? await act("PATCH", mine("/messages/" + encodeURIComponent(edited.id)), {text: said})
      : await act("POST", mine("/messages"), answered ? {text: said, reply_to: answered.id} : {text: said});
    if (ok && !edited) toEnd();
    if (ok || text.value || !$("about").hidden) return;
    if (edited) about(words.editing, edited, "edit");
    else if (answered) about(words.replying, answered, "reply");
    text.value = said;
    grow();
  });

  // Files. A file that was dropped or pasted is sent as one that was chosen.
  async function sendFile(file, as) {
    const query = new URLSearchParams({filename: file.name});
    if (as === "document") query.set("as", "document");
    if (text.value.trim() && as !== "audio") query.set("caption", text.value.trim());
    if (answering) query.set("reply_to", answering.id);
    say(words.sending);
    const captioned = query.has("caption");
    if (await act("POST", mine("/media?" + query), file, {"Content-Type": file.type || "application/octet-stream"})) {
      if (captioned) text.value = "";
      rest();
      toEnd();
    }
  }
  for (const as of ["photo", "document", "audio"]) {
    const input = $("file-" + as);
    input.addEventListener("change", async () => {
      for (const file of [...input.files]) await sendFile(file, as);
      input.value = "";
    });
  }
  scroll.addEventListener("dragover", (event) => event.preventDefault());
  scroll.addEventListener("drop", async (event) => {
    event.preventDefault();
    for (const file of event.dataTransfer.files) await sendFile(file, "photo");
  });
  text.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length === 0) return;
    event.preventDefault();
    for (const file of event.clipboardData.files) sendFile(file, "photo");
  });

  // Menus and dialogs.
  const doing = {
    stop: async () => await act("POST", mine("/marketing"), {value: "stop"}) && say(words.stopped, true),
    resume: async () => await act("POST", mine("/marketing"), {value: "resume"}) && say(words.resumed, true),
    unblock: () => act("POST", mine("/block"), {blocked: false}),
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-dialog],[data-do],[data-file],[data-close]");
    if (!button) return;
    if (button.closest("[popover]")) button.closest("[popover]").hidePopover();
    if (button.dataset.dialog) $(button.dataset.dialog).showModal();
    if (button.dataset.do) doing[button.dataset.do]();
    if (button.dataset.file) $("file-" + button.dataset.file).click();
    if (button.dataset.close !== undefined) button.closest("dialog").close();
  });
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    dialog.addEventListener("close", () => text.focus());
  }
  const submits = {
    place: (f) => act("POST", mine("/messages"), {
      location: {latitude: +f.get("latitude"), longitude: +f.get("longitude"), name: f.get("name"), address: f.get("address")}}),
    ad: (f) => act("POST", mine("/messages"), {text: f.get("text"), referral: {headline: f.get("headline"), body: f.get("body"), source_id: f.get("source_id")}}),
    number: async (f) => {
      const number = "+" + f.get("phone").replace(/[^\d]/g, "");
      const ok = await call("POST", mine("/number"), {phone: number});
      if (ok) location.replace("/?phone=" + encodeURIComponent(number));
      return ok;
    },
    block: (f, by) => act("POST", mine("/block"), {blocked: true, report: by?.name === "report"}),
  };
  for (const [id, submit] of Object.entries(submits)) {
    const form_ = $(id).querySelector("form");
    form_.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (await submit(new FormData(form_), event.submitter)) {
        $(id).close();
        toEnd();
      }
    });
  }
  // Arrow keys go through a menu.
  for (const menu of document.querySelectorAll(".menu")) {
    menu.addEventListener("toggle", (event) => { if (event.newState === "open") menu.querySelector("button")?.focus(); });
    menu.addEventListener("keydown", (event) => {
      const step = {ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1}[event.key];
      if (!step) return;
      event.preventDefault();
      const items = [...menu.querySelectorAll("button")].filter((b) => b.offsetParent);
      items[(items.indexOf(document.activeElement) + step + items.length) % items.length].focus();
    });
  }

  // Earlier messages come when the top is reached. What is on the screen stays where it is.
  const earlier = $("earlier");
  let fetching = false;
  async function more() {
    if (fetching || earlier.hidden) return;
    fetching = true;
    try {
      const answer = await fetch("/page/earlier?phone=" + encodeURIComponent(phone) + "&lang=" + document.documentElement.lang + "&before=" + chat.firstElementChild.dataset.n);
      const got = await answer.json();
      const from = scroll.scrollHeight - scroll.scrollTop;
      chat.prepend(...parts(got.chat));
      earlier.hidden = !got.earlier;
      scroll.scrollTop = scroll.scrollHeight - from;
    } catch {
      say(words.no_answer);
    }
    fetching = false;
  }
  earlier.addEventListener("click", more);
  scroll.addEventListener("scroll", () => { if (scroll.scrollTop < 200) more(); }, {passive: true});

  showTyping(+body.dataset.typing);
  toEnd();
  // A picture that comes late must not push the newest message out of sight.
  chat.addEventListener("load", () => { if (atEnd()) toEnd(); }, true);
  if (matchMedia("(hover: hover)").matches || text.value) text.focus();
  text.setSelectionRange(text.value.length, text.value.length);
}

document.addEventListener("visibilitychange", refresh);
setInterval(tick, 250);
tick();
markRead();
watch();
