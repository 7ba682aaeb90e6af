// A part of a page that refreshes itself: <div data-live="/its/address/" data-every="15">.
// It can be paused, rests while nobody looks, and says nothing to screen readers: who wants to know
// reads on, nobody is interrupted. Focus and opened details stay where they were.
(() => {
  "use strict";
  const part = document.querySelector("[data-live]");
  if (!part) return;
  const button = document.querySelector("[data-live-pause]");
  const state = document.querySelector("[data-live-state]");
  const seconds = Number(part.dataset.every);
  const KEPT = "telbot-live-paused";
  let paused = localStorage.getItem(KEPT) === "1";
  let asking = false;
  let missed = false;
  let last = Date.now();

  const say = (trouble) => {
    button.textContent = paused ? "Refresh again" : "Pause refreshing";
    button.setAttribute("aria-pressed", String(paused));
    state.textContent = trouble || (paused ? "Paused: these figures stand still." : `Refreshes every ${seconds} s.`);
    part.classList.toggle("tb-stale", Boolean(trouble));
  };

  const swap = (text) => {
    const open = [...part.querySelectorAll("details")].map((found) => found.open);
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    const place = focused && [...part.querySelectorAll("a, summary, [tabindex]")].indexOf(focused);
    part.innerHTML = text;
    part.querySelectorAll("details").forEach((found, at) => { found.open = Boolean(open[at]); });
    if (focused) {
      const named = focused.dataset.liveId || focused.getAttribute("href");
      const links = [...part.querySelectorAll("a, summary, [tabindex]")];
      const same = links.find((link) => named && (link.dataset.liveId || link.getAttribute("href")) === named);
      (same || links[place] || part).focus({ preventScroll: true });
    }
  };

  const selects = () => {
    const chosen = getSelection();
    return chosen && !chosen.isCollapsed && part.contains(chosen.anchorNode);
  };

  const refresh = async () => {
    if (paused || asking || selects()) return;
    if (document.hidden) { missed = true; return; }
    asking = true;
    try {
      const answer = await fetch(part.dataset.live, { redirect: "manual", credentials: "same-origin" });
      if (answer.type === "opaqueredirect") say("You are logged out; load the page anew.");
      else if (!answer.ok) throw new Error(String(answer.status));
      else {
        const text = await answer.text();
        if (!paused) swap(text);
        last = Date.now();
        say("");
      }
    } catch {
      const at = new Date(last).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
      say(`No answer from the server; these figures are of ${at}.`);
    } finally {
      asking = false;
      part.dispatchEvent(new CustomEvent("refreshed"));
    }
  };

  const turn = () => {
    paused = !paused;
    localStorage.setItem(KEPT, paused ? "1" : "0");
    say("");
    if (!paused) refresh();
  };

  button.addEventListener("click", turn);
  document.addEventListener("keydown", (event) => {
    const writes = event.target.closest("input, textarea, select, [contenteditable=true], dialog");
    if (event.key !== "r" || event.ctrlKey || event.metaKey || event.altKey || writes) return;
    turn();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && missed) { missed = false; refresh(); }
  });
  button.hidden = state.hidden = false;
  say("");
  setInterval(refresh, seconds * 1000);
})();
