// Loaded in <head>, before the first paint: the first frame already has the theme that the person chose.
(function () {
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch (error) {
    if (!(error instanceof DOMException)) throw error; // no access to the storage: the theme of the system
  }
  document.documentElement.classList.add("js");
})();
