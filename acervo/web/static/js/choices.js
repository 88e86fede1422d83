// What a person chose once for every player, kept by this browser: speed, pauses, playing on, and where each file was left.

export const SPEEDS = [0.75, 1, 1.25, 1.5, 2];
const MOST_PLACES = 100;

const remembered = (key) => {
  try { return localStorage.getItem(`acervo.${key}`); } catch { return null; }
};
const remember = (key, value) => {
  try { localStorage.setItem(`acervo.${key}`, value); } catch { /* a browser that keeps nothing still plays */ }
};

export const choices = {
  speed: SPEEDS.includes(Number(remembered("speed"))) ? Number(remembered("speed")) : 1,
  skipsPauses: remembered("skipsPauses") === "true",
  playsOn: remembered("playsOn") === "true",
};

/** Every player hears of it by the event `acervo:choice`. */
export function choose(name, value) {
  choices[name] = value;
  remember(name, value);
  document.dispatchEvent(new CustomEvent("acervo:choice", { detail: { name, value } }));
}

export function changeSpeed(by) {
  const at = SPEEDS.indexOf(choices.speed) + by;
  choose("speed", SPEEDS[Math.min(Math.max(at, 0), SPEEDS.length - 1)]);
}

const places = new Map(readPlaces());

function readPlaces() {
  try { return JSON.parse(remembered("places") || "[]"); } catch { return []; }
}

/** The second at which a file was left. */
export const placeOf = (file) => Number(places.get(file)) || 0;

export function leaveAt(file, second) {
  places.delete(file);
  if (second > 0) places.set(file, Math.round(second * 10) / 10);
  remember("places", JSON.stringify([...places].slice(-MOST_PLACES)));
}
