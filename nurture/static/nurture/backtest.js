// A backtest under way: look every other second, and show the page anew when it has gone on.
(() => {
  "use strict";
  const was = document.getElementById("in-state").dataset.state;
  const look = async () => {
    const answer = await fetch(location.href + "&state=1");
    if (answer.ok && (await answer.json()).state !== was) location.reload(); else setTimeout(look, 2000);
  };
  setTimeout(look, 2000);
})();
