// The variants of a summary as tabs. Without script they stand one below the other, and the tabs are links to them.

export function makeTabs(root, chosen = "") {
  for (const group of root.querySelectorAll("[data-summaries]")) {
    const tabs = [...group.querySelectorAll(".tabs [data-variant]")];
    if (tabs.length < 2) continue;
    group.classList.add("tabbed");
    group.querySelector(".tabs ul").setAttribute("role", "tablist");
    for (const tab of tabs) {
      const panel = panelOf(tab);
      tab.parentElement.setAttribute("role", "presentation");
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", panel.id);
      panel.setAttribute("role", "tabpanel");
      panel.tabIndex = 0;
    }
    const asked = tabs.find((tab) => tab.dataset.variant === chosen || tab.hash === location.hash);
    select(asked ?? tabs[0]);
  }
}

function panelOf(tab) {
  return document.getElementById(decodeURIComponent(tab.hash.slice(1)));
}

function select(tab) {
  for (const each of tab.closest(".tabs").querySelectorAll("[data-variant]")) {
    const isChosen = each === tab;
    each.setAttribute("aria-selected", isChosen);
    each.tabIndex = isChosen ? 0 : -1;
    panelOf(each).hidden = !isChosen;
  }
}

// In the list the address says which report is open; the variant stands behind it.
export function hashOf(report, variant = "") {
  return `#report=${encodeURIComponent(report)}${variant && `&variant=${encodeURIComponent(variant)}`}`;
}

function choose(tab) {
  select(tab);
  const reader = tab.closest("[data-reader]");
  const hash = reader ? hashOf(reader.dataset.reader, tab.dataset.variant) : tab.hash;
  history.replaceState(history.state, "", hash);
}

document.addEventListener("click", (event) => {
  const tab = event.target.closest(".tabbed [role=tab]");
  if (!tab || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  choose(tab);
});

document.addEventListener("keydown", (event) => {
  const tab = event.target.closest?.(".tabbed [role=tab]");
  if (!tab || event.ctrlKey || event.metaKey || event.altKey) return;
  const tabs = [...tab.closest(".tabs").querySelectorAll("[role=tab]")];
  const at = tabs.indexOf(tab);
  const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  const chosen = tabs.at(next % tabs.length);
  chosen.focus();
  choose(chosen);
});

document.addEventListener("page:shown", () => makeTabs(document.getElementById("page")));
