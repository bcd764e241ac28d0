// A quiet bar when the list has got new videos since it was opened. A conditional request now and then (304 as long
// as nothing was written) instead of a stream: a stream would hold one of the server's threads for each open page.

const EVERY = 30_000;
let known;
let etag = "";
let timer;

// What the page lists, newest first, one item.
function address() {
  const filters = new URLSearchParams(location.search);
  for (const name of ["page", "size", "sort", "view"]) filters.delete(name);
  filters.set("sort", "added_desc");
  filters.set("size", "1");
  return `/api/reports?${filters}`;
}

async function ask() {
  clearTimeout(timer);
  const bar = document.getElementById("news");
  if (document.hidden || !bar) return;
  try {
    const answer = await fetch(address(), { cache: "no-store", headers: etag ? { "If-None-Match": etag } : {} });
    if (answer.status === 200 && bar.isConnected) {
      etag = answer.headers.get("ETag") ?? "";
      tell(bar, await answer.json());
    }
  } catch {
    // Offline: the next request will tell.
  }
  clearTimeout(timer);
  timer = setTimeout(ask, EVERY);
}

function tell(bar, { reports, pagination }) {
  const now = { newest: reports[0]?.video_id, count: pagination.total_count };
  known ??= now;
  if (now.newest === known.newest || now.newest === undefined) return;
  const more = Math.max(1, now.count - known.count);
  bar.querySelector("a").textContent = more === 1 ? "1 new video" : `${more} new videos`;
  bar.hidden = false;
}

document.addEventListener("visibilitychange", ask);
document.addEventListener("page:shown", () => {
  known = undefined;
  etag = "";
  ask();
});
