// Everything that runs on the pages. Modules bind to the document: #page is replaced, they stay.

import "./settings.js";
import "./flags.js";
import "./filters.js";
import "./focus.js";
import "./tabs.js";
import "./reader.js";
import "./cards.js";
import "./player.js";
import "./keys.js";
import "./news.js";
import { start } from "./navigation.js";

// For curators only: what others load stays small.
document.addEventListener("page:shown", () => {
  if (document.querySelector("[data-curate]")) import("./curation.js");
});
start();
