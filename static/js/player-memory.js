// What the player keeps in this browser: the last track and its list, speed, sound off, and how far one has listened.

const KEY = "player";
const MOST = 50;
// Nearer to either end than this is the start.
const MARGIN = 3;

// Stands in for the storage where that is forbidden.
let kept = { track: null, query: "", speed: 1, isMuted: false, positions: [] };

export function memory() {
  try {
    const read = JSON.parse(localStorage.getItem(KEY));
    if (read && Array.isArray(read.positions)) kept = { ...kept, ...read };
  } catch {
    // Forbidden, or not ours: what this page knows.
  }
  return kept;
}

// Read anew before each change: other tabs keep theirs in the same place.
export function remember(changes) {
  kept = { ...memory(), ...changes };
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // Forbidden or full: it holds for this page.
  }
}

export function positionOf(videoId) {
  return memory().positions.find(([id]) => id === videoId)?.[1] ?? 0;
}

export function rememberPosition(videoId, seconds, duration = Infinity) {
  const others = memory().positions.filter(([id]) => id !== videoId);
  const isUnderWay = seconds > MARGIN && seconds < duration - MARGIN;
  remember({ positions: isUnderWay ? [...others, [videoId, Math.floor(seconds)]].slice(-MOST) : others });
}
