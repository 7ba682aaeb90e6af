// A button that copies what a field holds: <button data-copy="id of the field" hidden>. It says so in #copied.
(() => {
  "use strict";
  for (const button of document.querySelectorAll("[data-copy]")) {
    const field = document.getElementById(button.dataset.copy);
    const told = document.getElementById("copied");
    button.hidden = false;
    button.addEventListener("click", async () => {
      field.select();
      try {
        await navigator.clipboard.writeText(field.value);
        told.textContent = "Copied.";
      } catch {
        told.textContent = "Press Ctrl+C; the link is selected.";  // no clipboard without https
      }
    });
  }
})();
