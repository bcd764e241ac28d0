// The player as other modules know it. What plays is in playback.js, what shows it in the two others.

export { current, isPlaying, next, play, previous, skip, toggle, toggleMute } from "./playback.js";
import { restore } from "./playback.js";
import "./player-view.js";
import "./player-cards.js";


restore();
