// What is kept in this browser: the theme of the settings menu (System, Light or Dark), and list or grid.

const root = document.documentElement;

for (const choice of document.querySelectorAll("input[name=theme]")) {
  choice.checked = choice.value === (root.dataset.theme ?? "system");
  choice.addEventListener("change", () => choose(choice.value));
}

function choose(theme) {
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
  try {
    if (theme === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", theme);
  } catch {
    // Storage is forbidden: the choice holds for this page.
  }
}

// The server reads it for the dashboard's bare address; every other address says itself how it looks.
document.addEventListener("click", ({ target }) => {
  const link = target.closest(".switch a");
  if (!link) return;
  const view = new URL(link.href).searchParams.get("view") ?? "list";
  document.cookie = `view=${view}; path=/; max-age=31536000; samesite=lax`;
});
