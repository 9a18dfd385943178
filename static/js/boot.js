// Every page: the theme menu, menus that close, announcements to screen readers, relative times, forms sent once.
// htmx is configured by the <meta name="htmx-config"> of base.html; the CSRF header sits on <body>.

const root = document.documentElement;

function chosenTheme() {
  return root.dataset.theme ?? "system";
}

function showTheme() {
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === chosenTheme()));
  }
}

function chooseTheme(theme) {
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
  try {
    if (theme === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", theme);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
  showTheme();
  document.dispatchEvent(new CustomEvent("tandem:theme"));
}

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu !== except) menu.open = false;
  }
}

/** Announce a text to screen readers without moving the focus. */
export function announce(text) {
  const region = document.getElementById("announcements");
  if (region) region.textContent = text;
}

const units = [
  ["year", 31536000],
  ["month", 2592000],
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
];

/** Show times as "5 minutes ago" in the page's language; the exact time stays in the title. */
function showRelativeTimes(scope = document) {
  const format = new Intl.RelativeTimeFormat(root.lang, { numeric: "auto" });
  for (const time of scope.querySelectorAll("time[data-ago]")) {
    const seconds = (new Date(time.dateTime) - Date.now()) / 1000;
    const [unit, size] = units.find(([, limit]) => Math.abs(seconds) >= limit) ?? ["second", 1];
    const amount = unit === "second" ? Math.round(seconds / 10) * 10 : Math.trunc(seconds / size);
    time.textContent = format.format(amount, unit);
  }
}

document.addEventListener("click", (event) => {
  const choice = event.target.closest("[data-theme-choice]");
  if (choice) chooseTheme(choice.dataset.themeChoice);
  closeMenus(event.target.closest("details.menu"));
});

document.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if (event.key === "Escape") {
    const menu = event.target.closest?.("details.menu[open]");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  }
  // Ctrl/Cmd+Enter submits the form around a field, where the form has data-submit-shortcut.
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.target.closest?.("form[data-submit-shortcut]")?.requestSubmit();
  }
});

// A form with data-submit-once is submitted once; its button shows data-busy-text until the next page has loaded.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter ?? form.querySelector('button[type="submit"]');
  if (event.defaultPrevented || !button || form.dataset.submitOnce === undefined) return;
  if (button.getAttribute("aria-disabled") === "true") {
    event.preventDefault();
    return;
  }
  setTimeout(() => {
    button.setAttribute("aria-disabled", "true");
    if (button.dataset.busyText) {
      button.dataset.idleText = button.textContent;
      button.textContent = button.dataset.busyText;
      announce(button.dataset.busyText);
    }
  });
});

// A region that htmx replaces announces its data-announce when the text has changed.
const announcements = new Map();
for (const region of document.querySelectorAll("[data-announce]")) announcements.set(region.id, region.dataset.announce);
document.addEventListener("htmx:load", (event) => {
  const region = event.detail.elt;
  showRelativeTimes(region);
  const text = region.dataset?.announce;
  if (text && announcements.get(region.id) !== text) {
    announce(text);
    announcements.set(region.id, text);
  }
});

for (const type of ["htmx:sendError", "htmx:responseError"]) {
  document.addEventListener(type, () => document.getElementById("offline")?.removeAttribute("hidden"));
}
document.addEventListener("htmx:afterOnLoad", () => document.getElementById("offline")?.setAttribute("hidden", ""));

window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll('button[aria-disabled="true"]')) {
    button.removeAttribute("aria-disabled");
    if (button.dataset.idleText) button.textContent = button.dataset.idleText;
  }
});

showTheme();
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
showRelativeTimes();
setInterval(showRelativeTimes, 30_000);
