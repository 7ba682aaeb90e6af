// The learner page. Everything shown comes in as JSON and is put into the page as text nodes.

const $ = (id) => document.getElementById(id);
const seen = new Map(Object.entries(JSON.parse(localStorage.getItem("seen") ?? "{}")));
let current = null; // id of the open chat
let shown = ""; // what the log shows, to leave it alone when nothing changed
let waiting = null; // callback whose answer is awaited

function make(tag, props = {}, ...children) {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
}

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch(`/sandbox/${path}`, options);
  const answer = await response.json();
  if (!response.ok) {
    toast(answer.error);
    throw new Error(answer.error);
  }
  return answer;
}

function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { $("toast").hidden = true; }, 4000);
}

// --- people ---------------------------------------------------------------------------------

const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat([], { day: "numeric", month: "long" });

function when(seconds) {
  const date = new Date(seconds * 1000);
  return date.toDateString() === new Date().toDateString()
    ? clock.format(date)
    : new Intl.DateTimeFormat([], { day: "numeric", month: "short" }).format(date);
}

function paint(avatar, person) {
  avatar.textContent = [...person.first_name][0]?.toUpperCase() ?? "?";
  avatar.className = `avatar tone${person.id % 7}`;
  return avatar;
}

function status(person) {
  if (person.deactivated) return "account deleted";
  if (person.blocked) return "has blocked the bot";
  return person.started ? `${person.received} received` : "has not pressed Start";
}

function line(person) {
  const fresh = person.last_from_bot && person.last_id > (seen.get(String(person.id)) ?? 0);
  const last = person.last_text
    ? (person.last_from_bot ? "" : "You: ") + person.last_text.replaceAll("\n", " ")
    : status(person);
  const button = make("button", { className: "person", type: "button" },
    paint(make("span", { ariaHidden: "true" }), person),
    make("span", { className: "who", textContent: person.first_name }),
    make("span", { className: "quiet", textContent: person.last_date ? when(person.last_date) : "" }),
    make("span", { className: "last", textContent: last }));
  if (fresh) button.append(make("span", { className: "badge", textContent: "new" }));
  button.setAttribute("aria-current", String(person.id === current));
  button.addEventListener("click", () => { location.hash = person.id; });
  return button;
}

async function refreshPeople() {
  const { people, total, bot } = await ask(`people?q=${encodeURIComponent($("search").value)}`);
  const focused = document.activeElement?.closest(".person");
  const at = focused ? [...$("list").children].indexOf(focused) : -1;
  $("list").replaceChildren(...people.map(line));
  if (at >= 0) $("list").children[at]?.focus();
  $("bot").textContent = `@${bot.username}`;
  $("total").textContent = people.length < total
    ? `${people.length} of ${total} people; search to find the others`
    : total ? "" : "Nobody yet. Add a person with +.";
}

// --- one chat -------------------------------------------------------------------------------

const TAGS = {
  bold: "strong", italic: "em", underline: "u", strikethrough: "s", code: "code", pre: "pre",
  blockquote: "blockquote", expandable_blockquote: "blockquote",
};

const BLOCKS = new Set(["pre", "blockquote", "expandable_blockquote"]);

function safeLink(url) {
  return /^(https?|mailto|tg):/i.test(url)
    ? { href: url, target: "_blank", rel: "noopener noreferrer" } : {};
}

function wrap(entity, text) {
  switch (entity.type) {
    case "text_link": return make("a", safeLink(entity.url));
    case "url": return make("a", safeLink(text));
    case "email": return make("a", safeLink(`mailto:${text}`));
    case "bot_command": {
      const command = make("button", { className: "command", type: "button" });
      command.addEventListener("click", () => say(text));
      return command;
    }
    case "spoiler": {
      const cover = make("button", { className: "spoiler", type: "button", title: "Show" });
      cover.setAttribute("aria-expanded", "false");
      cover.addEventListener("click", () => cover.setAttribute("aria-expanded", "true"));
      return cover;
    }
    default: return make(TAGS[entity.type] ?? "span");
  }
}

// Entities count UTF-16 units, as JavaScript's strings do. Outer ones come first.
function styled(text, entities, from = 0, to = text.length) {
  const nodes = [];
  let at = from;
  let index = 0;
  while (index < entities.length) {
    const entity = entities[index];
    const start = Math.max(entity.offset, at);
    const end = Math.min(entity.offset + entity.length, to);
    let next = index + 1;
    while (next < entities.length && entities[next].offset < end) next += 1;
    if (end > start) {
      const block = BLOCKS.has(entity.type);
      const before = text.slice(at, start);
      nodes.push(block ? before.replace(/\n$/, "") : before);
      const node = wrap(entity, text.slice(start, end));
      node.append(...styled(text, entities.slice(index + 1, next), start, end));
      nodes.push(node);
      at = block && text[end] === "\n" ? end + 1 : end; // a block ends its line by itself
    }
    index = next;
  }
  nodes.push(text.slice(at, to));
  return nodes.filter((node) => node !== "");
}

function key(button, message) {
  if (button.url) return make("a", { className: "key", ...safeLink(button.url) }, `${button.text} ↗`);
  const node = make("button", { className: "key", type: "button", textContent: button.text });
  node.addEventListener("click", async () => {
    node.setAttribute("aria-busy", "true");
    const body = { message_id: message.message_id, data: button.callback_data };
    waiting = (await ask(`people/${current}/press`, body)).callback_id;
    setTimeout(() => node.removeAttribute("aria-busy"), 5000);
  });
  return node;
}

function bubble(message, first) {
  const mine = !message.from.is_bot;
  const date = new Date(message.date * 1000);
  const time = make("time", { dateTime: date.toISOString(), title: date.toLocaleString() },
    (message.edit_date && !mine ? "edited " : "") + clock.format(date));
  const node = make("article", { className: `message${mine ? " mine" : ""}${first ? " first" : ""}` },
    make("div", { className: "bubble" }, ...styled(message.text, message.entities ?? []), time));
  const rows = message.reply_markup?.inline_keyboard ?? [];
  if (rows.length) {
    node.append(make("div", { className: "keys" },
      ...rows.map((row) => make("div", { className: "row" }, ...row.map((b) => key(b, message))))));
  }
  return node;
}

function showMessages(messages) {
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  const nodes = [];
  let day = "";
  let speaker = null;
  for (const message of messages) {
    const date = calendar.format(new Date(message.date * 1000));
    if (date !== day) nodes.push(make("div", { className: "day", textContent: date }));
    nodes.push(bubble(message, date !== day || speaker !== message.from.id));
    day = date;
    speaker = message.from.id;
  }
  log.replaceChildren(...nodes);
  if (atEnd || shown === "") log.scrollTop = log.scrollHeight;
}

function showCommands(commands) {
  const known = commands.length ? commands : [
    { command: "start", description: "Begin" }, { command: "status", description: "What is next" },
    { command: "help", description: "What the bot can do" }, { command: "stop", description: "No more messages" },
    { command: "privacy", description: "What is stored" },
  ];
  $("menu").replaceChildren(...known.map(({ command, description }) => {
    const item = make("button", { type: "button" }, make("b", { textContent: `/${command}` }),
      make("span", { className: "quiet", textContent: description }));
    item.addEventListener("click", () => { toggleMenu(false); say(`/${command}`); });
    return item;
  }));
}

async function refreshChat() {
  if (current === null) return;
  const id = current;
  const { person, messages, commands } = await ask(`people/${id}`);
  if (id !== current) return; // another chat was opened meanwhile
  paint($("avatar"), person);
  $("name").textContent = person.first_name;
  $("about").textContent = `${person.id} · ${person.language_code} · ${status(person)}`;
  $("block").textContent = person.blocked ? "Unblock" : "Block";
  $("block").hidden = !person.started;
  const silent = !person.started || person.blocked;
  $("composer").hidden = silent;
  $("start").hidden = !silent || person.deactivated;
  $("start").textContent = person.blocked ? "Restart the bot" : "Start";
  const state = JSON.stringify([id, messages]);
  if (state !== shown) {
    showMessages(messages);
    shown = state;
  }
  showCommands(commands);
  seen.set(String(id), person.last_id);
  localStorage.setItem("seen", JSON.stringify(Object.fromEntries(seen)));
}

async function refreshAnswer() {
  if (waiting === null) return;
  const { answer } = await ask(`callbacks/${waiting}`);
  if (answer === null) return;
  waiting = null;
  for (const node of document.querySelectorAll(".key[aria-busy]")) node.removeAttribute("aria-busy");
  if (answer.text) toast(answer.text);
}

// --- doing ----------------------------------------------------------------------------------

const say = (text) => ask(`people/${current}/text`, { text });

function toggleMenu(open) {
  $("menu").hidden = !open;
  $("commands").setAttribute("aria-expanded", String(open));
}

async function openFromHash() {
  $("toast").hidden = true;
  const id = Number(location.hash.slice(1)) || null;
  if (id !== current) shown = "";
  current = id;
  document.body.classList.toggle("open", id !== null);
  $("chat").hidden = id === null;
  $("empty").hidden = id !== null;
  toggleMenu(false);
  try {
    await refreshChat();
  } catch {
    location.hash = "";
  }
  await refreshPeople();
}

function fill(dialog, then) {
  dialog.returnValue = "";
  dialog.showModal();
  dialog.onclose = () => {
    if (dialog.returnValue === "ok") then(Object.fromEntries(new FormData(dialog.querySelector("form"))));
  };
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (text) say(text);
  $("text").value = "";
});
$("start").addEventListener("click", () => ask(`people/${current}/start`, {}));
$("block").addEventListener("click", () =>
  ask(`people/${current}/${$("block").textContent.toLowerCase()}`, {}));
$("commands").addEventListener("click", () => toggleMenu($("menu").hidden));
$("back").addEventListener("click", () => { location.hash = ""; });
$("search").addEventListener("input", refreshPeople);
$("new").addEventListener("click", () => fill($("newDialog"), async (person) => {
  const { people } = await ask("people", person);
  location.hash = people[0];
}));
$("link").addEventListener("click", () => fill($("linkDialog"), ({ payload }) =>
  ask(`people/${current}/start`, { payload: payload.trim().replace(/^.*[?&]start=/, "") })));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") toggleMenu(false);
});
window.addEventListener("hashchange", openFromHash);

// One refresh at a time; changes that come in meanwhile cause one more.
let running = false;
let again = false;
async function refresh() {
  again = true;
  if (running) return;
  running = true;
  while (again) {
    again = false;
    try {
      await Promise.all([refreshAnswer(), refreshChat().then(refreshPeople)]);
    } catch {
      // the sandbox is away; the event stream tells when it is back
    }
  }
  running = false;
}

const stream = new EventSource("/sandbox/events");
stream.addEventListener("message", refresh);
stream.addEventListener("open", refresh);
openFromHash();
