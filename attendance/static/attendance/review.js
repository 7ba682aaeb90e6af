// A key for each answer, as written beside it; Enter confirms, since that button has the focus.
// `autofocus` alone will not do: a browser drops it where a key was pressed while the page loaded.
document.querySelector("#confirm")?.focus();
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const found = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (found) {
    event.preventDefault();
    found.click();
  }
});
