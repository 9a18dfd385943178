// Loaded in <head>, before anything is painted: the theme a person chose must be there from the first frame.
(function () {
  try {
    var theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch (error) {
    if (!(error instanceof DOMException)) throw error; // storage is closed to us: the system decides
  }
  document.documentElement.classList.add("js");
})();
