// What the pages gain where JavaScript runs. None of it is needed to use them.
document.documentElement.classList.add("js");

const say = (text) => {
  let live = document.getElementById("live");
  if (live) live.textContent = text;
};

document.addEventListener("click", async (e) => {
  const button = e.target.closest("[data-copy]");
  if (button) {
    const from = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(from.value ?? from.textContent);
      const was = button.textContent;
      button.textContent = "Copied";
      say("Copied");
      setTimeout(() => { button.textContent = was; }, 1500);
    } catch {
      getSelection().selectAllChildren(from);
      say("Selected: copy it with the keyboard");
    }
    return;
  }
  // A row opens by a click anywhere on it, unless the click was on something of its own.
  const row = e.target.closest("tr[data-href]");
  if (row && !e.target.closest("a, button, input, label, select, summary") && !getSelection().toString()) {
    row.querySelector("a")?.click();
  }
});

// A menu closes by Escape and by a click beside it.
document.addEventListener("click", (e) => {
  for (const m of document.querySelectorAll("details.menu[open]")) if (!m.contains(e.target)) m.open = false;
});
document.addEventListener("keydown", (e) => {
  if (e.key !== "Escape") return;
  for (const m of document.querySelectorAll("details.menu[open]")) { m.open = false; m.querySelector("summary").focus(); }
});

// A form that was changed asks before it is left.
let changed = false;
document.addEventListener("input", (e) => { if (e.target.closest("form[data-guard]")) changed = true; });
document.addEventListener("submit", (e) => {
  if (e.target.matches("form[data-guard]")) changed = false;
  // Nothing is sent twice.
  if (e.target.method === "post" && !e.target.hasAttribute("hx-post")) {
    if (e.target.dataset.sent) { e.preventDefault(); return; }
    e.target.dataset.sent = "1";
    setTimeout(() => { delete e.target.dataset.sent; }, 5000);
  }
});
addEventListener("beforeunload", (e) => { if (changed) e.preventDefault(); });

// A select that stands for a choice to go to is followed at once.
document.addEventListener("change", (e) => { if (e.target.matches("[data-submit]")) e.target.form.requestSubmit(); });

// A form's problems are what is read first.
document.querySelector("[data-focus]")?.focus();
