// What every page shares: the theme menu, menus that close, a region that says what changed, times in local words.
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

/** Say something to a screen reader without moving the focus. */
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

/** "5 minutes ago" in the page's language; the exact time stays in the title. */
function humanTimes(scope = document) {
  const words = new Intl.RelativeTimeFormat(root.lang, { numeric: "auto" });
  for (const time of scope.querySelectorAll("time[data-ago]")) {
    const seconds = (new Date(time.dateTime) - Date.now()) / 1000;
    const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
    const amount = unit === "second" ? Math.round(seconds / 10) * 10 : Math.trunc(seconds / size);
    time.textContent = words.format(amount, unit);
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
  // Ctrl/Cmd+Enter sends the form one is typing in, where the form asks for it.
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.target.closest?.("form[data-send-key]")?.requestSubmit();
  }
});

// A form marked data-once is sent once; its button says what is going on (data-busy) until the next page is there.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter ?? form.querySelector('button[type="submit"]');
  if (event.defaultPrevented || !button || form.dataset.once === undefined) return;
  if (button.getAttribute("aria-disabled") === "true") {
    event.preventDefault();
    return;
  }
  setTimeout(() => {
    button.setAttribute("aria-disabled", "true");
    if (button.dataset.busy) {
      button.dataset.idle = button.textContent;
      button.textContent = button.dataset.busy;
      announce(button.dataset.busy);
    }
  });
});

// A region that was renewed says its data-announce, unless it said the same the last time.
const said = new Map();
for (const region of document.querySelectorAll("[data-announce]")) said.set(region.id, region.dataset.announce);
document.addEventListener("htmx:load", (event) => {
  const region = event.detail.elt;
  humanTimes(region);
  const words = region.dataset?.announce;
  if (words && said.get(region.id) !== words) {
    announce(words);
    said.set(region.id, words);
  }
});

for (const type of ["htmx:sendError", "htmx:responseError"]) {
  document.addEventListener(type, () => document.getElementById("offline")?.removeAttribute("hidden"));
}
document.addEventListener("htmx:afterOnLoad", () => document.getElementById("offline")?.setAttribute("hidden", ""));

window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll('button[aria-disabled="true"]')) {
    button.removeAttribute("aria-disabled");
    if (button.dataset.idle) button.textContent = button.dataset.idle;
  }
});

showTheme();
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
humanTimes();
setInterval(humanTimes, 30_000);
