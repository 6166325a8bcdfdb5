// Replaces what changes every two seconds, and the report whenever there is a new one.
"use strict";
const report = document.getElementById("report");
const versionOf = (state) => state.dataset.version;
const fit = () => {
  const page = report.contentDocument?.documentElement;
  if (page) report.style.height = `${page.scrollHeight}px`;
};
report.addEventListener("load", () => {
  const body = report.contentDocument?.body;
  if (body) new ResizeObserver(fit).observe(body);
});
const refresh = async () => {
  try {
    const answer = await fetch("state", { cache: "no-store" });
    const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [old, next] = [document.getElementById("state"), parsed.getElementById("state")];
    if (!answer.ok || !next) throw new Error("no state");
    old.replaceWith(next);
    if (versionOf(next) !== versionOf(old)) {
      report.hidden = false;
      report.src = `report?${versionOf(next)}`;
    }
    document.body.style.opacity = "";
  } catch {
    document.body.style.opacity = ".5"; // the server has ended, or is away for a moment
  }
};
setInterval(refresh, 2000);
