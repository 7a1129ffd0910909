// What the pages gain where JavaScript runs. None of it is needed to use them.
const root = document.documentElement;
root.classList.add("js");

const say = (text) => {
  const live = document.getElementById("live");
  if (live) live.textContent = text;
};

// ready runs on the page, and on each part that comes later.
const ready = (part) => {
  // A table that fits needs no box to scroll in, so that its head can stay in view.
  for (const box of part.querySelectorAll(".table-box")) sizes.observe(box);
  // Times in the reader's zone, with UTC at hand.
  for (const t of part.querySelectorAll("time[datetime]")) {
    const at = new Date(t.dateTime);
    if (t.dataset.shown || isNaN(at)) continue;
    t.dataset.shown = "1";
    const here = local.format(at).replace(",", "");
    if ("local" in t.dataset) {
      t.title = t.textContent;
      t.textContent = here;
    } else t.title = `${here} · ${t.title}`;
  }
};
const local = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
const sizes = new ResizeObserver((all) => {
  for (const { target: box } of all) {
    box.classList.remove("fits");
    const fits = box.scrollWidth <= box.clientWidth;
    box.classList.toggle("fits", fits);
    box.tabIndex = fits ? -1 : 0;
  }
});
ready(document);
document.addEventListener("htmx:after:swap", () => {
  ready(document);
  // An editor that was opened in place has the focus: what had it is gone.
  if (document.activeElement === document.body) document.querySelector("[data-opened]")?.querySelector("input:not([type=hidden]), select, textarea")?.focus();
});

const copy = async (button) => {
  const from = document.getElementById(button.dataset.copy);
  if (!from) return;
  try {
    await navigator.clipboard.writeText(from.value ?? from.textContent);
    button.dataset.was ??= button.textContent;
    button.textContent = "Copied";
    say("Copied");
    setTimeout(() => { button.textContent = button.dataset.was; }, 1500);
  } catch {
    getSelection().selectAllChildren(from);
    say("Selected: copy it with the keyboard");
  }
};

// Commands on a page follow what is typed into the form that they stand in.
const follow = (field) => {
  if (!field.name || !field.form || field.type === "password") return;
  for (const at of field.form.querySelectorAll(`[data-of="${CSS.escape(field.name)}"]`)) {
    const text = JSON.stringify(field.value || at.dataset.empty).slice(1, -1);
    at.textContent = "hcl" in at.dataset ? text.replace(/[$%](?=\{)/g, "$&$&") : text.replaceAll("'", "'\\''");
  }
};

// A row of names and values more, without asking the server.
const addRow = (button) => {
  const rows = button.closest("fieldset")?.querySelector("[data-rows]");
  const last = rows?.lastElementChild;
  if (!last) return false;
  const row = last.cloneNode(true);
  row.querySelectorAll(".field-error").forEach((e) => e.remove());
  for (const f of row.querySelectorAll("input, select, textarea")) {
    if (f.matches("select")) f.selectedIndex = 0;
    else f.value = "";
    f.removeAttribute("value");
    f.removeAttribute("aria-invalid");
    f.removeAttribute("aria-describedby");
    f.setAttribute("aria-label", f.getAttribute("aria-label").replace(/\d+$/, (n) => +n + 1));
  }
  rows.append(row);
  row.querySelector("input, select, textarea").focus();
  return true;
};

// What a page asks before an act is asked over the page that one is on. Whatever
// does not go well ends on that page itself.
const ask = async (link) => {
  let form, title;
  try {
    const answer = await fetch(link.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    form = answer.ok && page.querySelector("main form.confirm");
    title = page.querySelector("main h1")?.textContent ?? "";
  } catch { /* below */ }
  if (!form) {
    location.href = link.href;
    return;
  }
  const dialog = document.createElement("dialog");
  dialog.className = "dialog";
  dialog.setAttribute("aria-label", title);
  const h = document.createElement("h1");
  h.textContent = title;
  dialog.append(h, document.importNode(form, true));
  dialog.addEventListener("close", () => { dialog.remove(); link.focus(); });
  document.body.append(dialog);
  dialog.showModal();
};

document.addEventListener("click", (e) => {
  const at = (selector) => e.target.closest(selector);
  const plain = e.button === 0 && !e.ctrlKey && !e.metaKey && !e.shiftKey && !e.altKey;
  let found;
  if ((found = at("[data-copy]"))) copy(found);
  else if ((found = at("[data-add-row]"))) { if (addRow(found)) e.preventDefault(); }
  else if ((found = at("a[data-dialog]")) && plain) { e.preventDefault(); ask(found); }
  else if ((found = at("dialog [data-close]"))) { e.preventDefault(); found.closest("dialog").close(); }
  else if (at("[data-print]")) print();
  else if ((found = at("tr[data-href]")) && plain && !at("a, button, input, label, select, summary") && !getSelection().toString()) {
    // A row opens by a click anywhere on it, unless that was on something of its own.
    found.querySelector("a")?.click();
  }
  // A menu closes by a click beside it.
  for (const m of document.querySelectorAll("details.menu[open]")) if (!m.contains(e.target)) m.open = false;
});
document.addEventListener("keydown", (e) => {
  if (e.key !== "Escape") return;
  for (const m of document.querySelectorAll("details.menu[open]")) { m.open = false; m.querySelector("summary").focus(); }
});

// A form that was changed asks before it is left.
let changed = false;
document.addEventListener("input", (e) => {
  if (e.target.closest("form[data-guard]")) changed = true;
  follow(e.target);
});
document.addEventListener("submit", (e) => {
  const form = e.target;
  if (form.matches("[data-guard]")) changed = false;
  // Nothing is sent twice by a double click.
  if (form.method !== "post" || form.hasAttribute("hx-post")) return;
  if (form.dataset.sent) { e.preventDefault(); return; }
  form.dataset.sent = "1";
  setTimeout(() => { delete form.dataset.sent; }, 5000);
});
addEventListener("pageshow", () => { for (const f of document.querySelectorAll("form[data-sent]")) delete f.dataset.sent; });
addEventListener("beforeunload", (e) => { if (changed) e.preventDefault(); });

// A select that stands for a choice to go to is followed at once.
document.addEventListener("change", (e) => { if (e.target.matches("[data-submit]")) e.target.form.requestSubmit(); });

// The page that one is on is seen among its tabs, where they do not fit.
for (const tab of document.querySelectorAll(".tabs [aria-current]")) tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.offsetLeft - 16;

// A form's problems are what is read first.
document.querySelector("[data-focus]")?.focus();
