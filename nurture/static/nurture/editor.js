// The editor of drafts. The server makes every change to the rows; this file asks it without a
// reload, and adds what only a script can: keys and drag, marks around a selection, a live preview.
(() => {
  "use strict";
  const form = document.querySelector("[data-editor]");
  if (!form) return;
  const readOnly = form.hasAttribute("data-read-only");
  const say = (words) => { document.getElementById("ed-said").textContent = words; };
  const by = (id) => document.getElementById(id);
  let changed = Boolean(by("ed-all").dataset.changed);
  let leaving = false;
  let timer = 0;
  let turn = 0;  // rises with each change of rows, so that a look from before it is not shown
  let looks = 0;
  let queue = Promise.resolve();

  // --- asking the server ------------------------------------------------------------------------

  // Whoever logs in anew in another tab has another token; the form still has the one it came with.
  const token = () => (document.cookie.match(/csrftoken=([^;]+)/) || [])[1];

  const send = async (action, part) => {
    const body = new FormData(form);
    body.set("do", action);
    if (token()) body.set("csrfmiddlewaretoken", token());
    const answer = await fetch(location.href, { method: "POST", body, headers: { "X-Part": part } });
    if (answer.redirected) throw new Error("You are logged out. Log in in another tab, then try again.");
    if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
    return answer;
  };

  const read = async (answer) => new DOMParser().parseFromString(await answer.text(), "text/html");
  const ask = async (action, part) => read(await send(action, part));

  // Failing is said, and what was typed stays where it is.
  const safely = (run) => run().catch((error) => {
    const words = `Not done: ${error.message} What you typed is still here.`;
    const alert = document.createElement("p");
    Object.assign(alert, { id: "ed-alert", className: "tb-note tb-bad", textContent: words });
    alert.setAttribute("role", "alert");
    by("ed-problems").replaceChildren(alert);
  });

  const open = () => new Set([...form.querySelectorAll("details[open][data-fold]")].map((fold) => fold.dataset.fold));

  const put = (page, opened) => {
    const fresh = page.getElementById("ed-all");
    for (const fold of fresh.querySelectorAll("details[data-fold]")) {
      fold.open = fold.open || opened.has(fold.dataset.fold);
    }
    by("ed-all").replaceWith(fresh);
    dress();
  };

  const focusOn = (name) => {
    if (!name) return;
    const found = by(`id_${name}`) || by(name)
      || form.querySelector(`[name="do"][value="${CSS.escape(name).replace(/\\/g, "")}"]`);
    if (!found) return;
    const fold = found.closest("details");
    if (fold) fold.open = true;
    found.focus();
  };

  // A button that changes rows: the same page, made anew, with the focus where it belongs.
  // One after the other: a key that is held down moves a row once for each time it repeats.
  const operate = (action, focus) => { queue = queue.then(() => safely(() => change(action, focus))); };
  const change = async (action, focus) => {
    turn += 1;
    const opened = open();
    const at = scrollY;
    const page = await ask(action, "part");
    const words = page.getElementById("ed-said").textContent;
    put(page, opened);
    changed = true;
    scrollTo(0, at);
    focusOn(focus || by("ed-all").dataset.focus);
    if (/^(look|show)/.test(action) && !focus.startsWith("handle-")) by("ed-preview").scrollIntoView({ block: "nearest" });
    say("");
    setTimeout(() => say(words), 50);
  };

  // Saved, the page comes anew; refused, it stays with what was typed.
  const save = (action) => {
    queue = queue.then(() => safely(async () => {
      const answer = await send(action, "part");
      const to = answer.headers.get("X-To");
      turn += 1;
      if (!to) { put(await read(answer), open()); return; }
      leaving = true;
      location.assign(to);
    }));
  };

  // What is shown of what stands in the form; the fields themselves are left alone.
  const look = () => safely(async () => {
    const before = turn;
    const mine = ++looks;
    const page = await ask("look", "live");
    if (before !== turn || mine !== looks) return;
    for (const part of page.querySelectorAll("[data-live]")) {
      const here = by(part.id);
      if (here) here.replaceWith(part);
    }
    by("ed-problems").replaceWith(page.getElementById("ed-problems"));
    again();
  });

  const soon = (after) => { clearTimeout(timer); timer = setTimeout(look, after); };
  const again = () => { if (form.querySelector("[data-poll]")) soon(1000); };

  form.addEventListener("submit", (event) => {
    const action = event.submitter && event.submitter.value;
    if (!action) return;
    event.preventDefault();
    clearTimeout(timer);
    if (action === "save" || action === "over") { save(action); return; }
    operate(action, action === "look" || action.startsWith("show ") ? action : "");
  });

  if (!readOnly) {
    form.addEventListener("input", () => { changed = true; soon(400); });
    form.addEventListener("focusin", (event) => {
      const step = event.target.closest("details") && event.target.closest(".ed-step");
      const chosen = form.elements["look.step"];
      const writes = step && step.querySelector(".ed-kind option[value=message]:checked");
      if (!writes || chosen.value === step.dataset.path) return;
      chosen.value = step.dataset.path;
      soon(200);
    });
    addEventListener("beforeunload", (event) => { if (changed && !leaving) event.preventDefault(); });
  }

  // --- order: arrow keys on the handle, or drag ---------------------------------------------------

  form.addEventListener("keydown", (event) => {
    const handle = event.target.closest("[data-handle]");
    const way = { ArrowUp: "up", ArrowDown: "down" }[event.key];
    if (!handle || !way) return;
    event.preventDefault();
    operate(`${way} ${handle.closest(".ed-step").dataset.path}`, handle.id);
  });

  let dragged = null;
  form.addEventListener("pointerdown", (event) => {
    const handle = event.target.closest("[data-handle]");
    if (!handle || event.button) return;
    dragged = handle.closest(".ed-step");
    handle.setPointerCapture(event.pointerId);
    dragged.classList.add("ed-drag");
  });
  form.addEventListener("pointermove", (event) => {
    if (!dragged) return;
    const under = document.elementsFromPoint(event.clientX, event.clientY)
      .map((found) => found.closest(".ed-step")).find((found) => found && found !== dragged);
    if (!under) return;
    const box = under.getBoundingClientRect();
    under[event.clientY > box.top + box.height / 2 ? "after" : "before"](dragged);
  });
  const drop = () => {
    if (!dragged) return;
    const handle = dragged.querySelector("[data-handle]").id;
    dragged.classList.remove("ed-drag");
    dragged = null;
    operate("look", handle);
  };
  form.addEventListener("pointerup", drop);
  form.addEventListener("pointercancel", drop);

  // --- texts: marks, variables, languages as tabs -------------------------------------------------

  const insert = (area, before, after) => {
    const { selectionStart: from, selectionEnd: to } = area;
    const chosen = area.value.slice(from, to);
    area.focus();
    area.setRangeText(before + chosen + after, from, to, "end");
    if (!chosen) area.setSelectionRange(from + before.length, from + before.length);
    area.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const areaOf = (part) => by(part.closest(".ed-toolbar").dataset.for);

  form.addEventListener("click", (event) => {
    const mark = event.target.closest("[data-wrap]");
    if (!mark) return;
    const tag = mark.dataset.wrap;
    insert(areaOf(mark), tag === "a" ? '<a href="https://">' : `<${tag}>`, `</${tag}>`);
  });
  form.addEventListener("change", (event) => {
    const pick = event.target.closest("[data-pick]");
    if (!pick || !pick.value) return;
    insert(areaOf(pick), `{{ ${pick.value} }}`, "");
    pick.value = "";
  });

  const tabs = (group, number) => {
    const panels = [...group.querySelectorAll(".ed-tab")];
    if (panels.length < 2) return;
    const list = document.createElement("div");
    list.className = "ed-tabs";
    list.setAttribute("role", "tablist");
    list.setAttribute("aria-label", "Languages");
    const choose = (chosen, focus) => panels.forEach((panel, at) => {
      const button = list.children[at];
      panel.hidden = at !== chosen;
      button.setAttribute("aria-selected", String(at === chosen));
      button.tabIndex = at === chosen ? 0 : -1;
      if (at === chosen && focus) button.focus();
    });
    panels.forEach((panel, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = panel.dataset.tab;
      button.setAttribute("role", "tab");
      button.id = `tab-${number}-${at}`;
      panel.id = `panel-${number}-${at}`;
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", button.id);
      button.setAttribute("aria-controls", panel.id);
      button.addEventListener("click", () => choose(at, false));
      button.addEventListener("keydown", (event) => {
        const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (by) choose((at + by + panels.length) % panels.length, true);
      });
      list.append(button);
    });
    group.prepend(list);
    const wrong = panels.findIndex((panel) => panel.querySelector(".errorlist"));
    choose(Math.max(wrong, 0), false);
  };

  // An anchor of the list of problems opens what it points into.
  form.addEventListener("click", (event) => {
    const anchor = event.target.closest("#ed-problems a[href^='#']");
    if (!anchor) return;
    event.preventDefault();
    const found = by(anchor.getAttribute("href").slice(1));
    if (!found) return;
    for (let fold = found.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    const panel = found.closest("[role=tabpanel][hidden]");
    if (panel) by(panel.getAttribute("aria-labelledby")).click();
    found.scrollIntoView({ block: "center" });
    (found.matches("fieldset") ? found.querySelector("input, select, button") || found : found).focus();
  });

  const dress = () => {
    if (!readOnly) for (const part of form.querySelectorAll(".ed-toolbar, [data-handle]")) part.hidden = false;
    form.querySelectorAll("[data-tabs]").forEach(tabs);
    const alert = by("ed-alert");
    if (alert) alert.focus();
    again();
  };
  dress();
})();
