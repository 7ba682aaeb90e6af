// Keys for whoever works here all day, and the zone in which they read times.
(() => {
  "use strict";
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const named = () => (document.cookie.match(/(?:^|; )telbot_zone=([^;]*)/) || [])[1];
  const asked = named();  // the zone with which this page was asked for
  if (zone) document.cookie = `telbot_zone=${zone}; path=/; max-age=31536000; samesite=lax`;

  // The page of the login names the zone before any time is shown. A page that came without it, or
  // with that of another journey, is asked for again, once, if it was only asked for (no form was
  // sent, nothing is typed yet); else it says on whose clock it is.
  let typed = false;
  addEventListener("input", () => { typed = true; }, { once: true, capture: true });
  addEventListener("DOMContentLoaded", () => {
    const clock = document.querySelector("[data-clock]");
    const other = clock && clock.dataset.clock && clock.dataset.clock !== zone;
    if (other && asked !== zone && named() === zone && !typed) location.reload();
  });

  // Django names its help icons without a role, which says their name to nobody.
  // It makes them while the page loads, so afterwards.
  addEventListener("load", () => setTimeout(() => {
    for (const icon of document.querySelectorAll("span.help-tooltip[aria-label]")) icon.setAttribute("role", "img");
  }));

  const press = (selector) => {
    const found = document.querySelector(selector);
    if (found) found.click();
    return Boolean(found);
  };
  // [key, needs Ctrl or Cmd, words, what it does; false leaves the key to the browser]
  const KEYS = [
    ["s", true, "Save and stay", () => press("[data-save], [name=_continue], [name=_save]")],
    ["p", true, "Preview, where there is one", () => press("[data-preview]")],
    ["?", false, "This list", () => { toggle(); return true; }],
  ];
  const THEIRS = [["Ctrl K", "Find anything"], ["/", "Search this list"], ["t", "Fold the menu"]];

  const element = (name, text, ...children) => {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    made.append(...children);
    return made;
  };

  const build = () => {
    const list = element("dl");
    const ours = KEYS.map(([key, held, words]) => [held ? `Ctrl ${key.toUpperCase()}` : key, words]);
    // A page adds keys of its own: <a data-key="n" data-key-words="Next open question">
    const own = [...document.querySelectorAll("[data-key][data-key-words]")]
      .map((found) => [found.dataset.key, found.dataset.keyWords]);
    for (const [key, words] of [...ours, ...THEIRS, ...own]) {
      list.append(element("dt", "", element("kbd", key)), element("dd", words));
    }
    const close = element("button", "Close");
    close.className = "tb-button";
    const heading = element("h2", "Keys");
    heading.id = "tb-keys-title";
    heading.className = "tb-title";
    const dialog = element("dialog", "", heading, list, close);
    dialog.id = "tb-keys";
    dialog.setAttribute("aria-labelledby", heading.id);
    close.addEventListener("click", () => dialog.close());
    document.body.append(dialog);
    return dialog;
  };

  const toggle = () => {
    const dialog = document.getElementById("tb-keys") || build();
    if (dialog.open) dialog.close(); else dialog.showModal();
  };

  const writes = (target) => target.closest("input, textarea, select, [contenteditable=true]");

  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.defaultPrevented) return;
    const held = event.ctrlKey || event.metaKey;
    if (!held && writes(event.target)) return;
    for (const [key, needsHeld, , run] of KEYS) {
      if (event.key.toLowerCase() === key && held === needsHeld && run()) event.preventDefault();
    }
  });
})();
