// One sound or film being played: place, speed, pauses, the next source when one fails, hardware keys. Shown by others.

import { choices, leaveAt, placeOf } from "./choices.js";
import { Listening } from "./listening.js";

export const STEP_S = 5;
const NEARLY_OVER_S = 1;
const SOON_S = 0.5;

let current; // what played last: the keys of the page are for it

export const currentPlayback = () => current;

export const written = (seconds) => {
  const whole = Math.max(0, Math.floor(seconds || 0));
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
};

/** Steers an <audio> or <video>. A track is { file, title, address, sources, length, pauses, … }; without `sources` the
 * element has its own. `neighbour(by)`: the track before or after this one, where there is a queue. */
export class Playback {
  constructor(media, { neighbour, signal } = {}) {
    this.media = media;
    this.neighbour = neighbour || (() => undefined);
    this.listening = new Listening(media, { signal });
    const on = (target, event, act) => target.addEventListener(event, act, { signal });
    for (const event of ["play", "pause", "timeupdate", "seeked", "waiting", "playing"]) on(media, event, () => this.tell());
    on(media, "loadedmetadata", () => this.goToPlace());
    on(media, "play", () => this.takeOver());
    on(media, "timeupdate", () => this.skipPause());
    on(media, "ended", () => this.reachEnd());
    on(media, "error", () => this.goOnElsewhere());
    on(document, "acervo:choice", () => this.obeyChoices());
    on(window, "pagehide", () => this.keepPlace());
    this.obeyChoices();
  }

  get file() { return this.track?.file; }
  get second() { return this.track ? this.media.currentTime : 0; }
  get isPlaying() { return Boolean(this.track) && !this.media.paused; }
  /** Wanted, and nothing to play yet: perhaps a copy is being made. */
  get isWaiting() { return this.isPlaying && this.media.readyState < HTMLMediaElement.HAVE_FUTURE_DATA; }
  get length() { return Number.isFinite(this.media.duration) ? this.media.duration : this.track?.length || 0; }

  /** Play this track, from where it was left or from a given second. */
  play(track, from) {
    if (this.file !== track.file) this.load(track);
    if (from !== undefined) this.startAt(from);
    this.resume();
  }

  resume() {
    if (this.hasFailed) this.tryAgain();
    this.media.play().catch(() => this.tell());
  }

  load(track) {
    this.leave();
    this.track = track;
    this.listening.begin(track.file);
    this.begin(placeOf(track.file));
  }

  /** What failed may have been made meanwhile. */
  tryAgain() {
    if (!this.track.sources) this.media.load();
    this.begin(this.place);
  }

  begin(second) {
    this.hasFailed = false;
    if (this.track.sources) {
      this.place = second;
      this.untried = [...this.track.sources];
      this.tryNextSource();
    } else this.startAt(second);
  }

  /** With the next source, from where the one that failed had come to. */
  goOnElsewhere() {
    this.place ||= this.media.currentTime;
    this.tryNextSource();
  }

  tryNextSource() {
    if (!this.track) return;
    const wasWanted = !this.media.paused;
    const next = this.untried?.shift();
    this.hasFailed = !next;
    if (!next) return this.tell();
    this.media.src = next;
    this.obeyChoices();
    if (wasWanted) this.resume();
  }

  startAt(second) {
    if (this.media.readyState > 0) this.media.currentTime = second;
    else this.place = second;
  }

  goToPlace() {
    if (this.place) this.media.currentTime = this.place;
    this.place = 0;
    this.tell();
  }

  toggle() {
    if (!this.track) return;
    if (this.media.paused) this.resume();
    else this.media.pause();
  }

  seek(second) {
    if (!this.track) return;
    this.startAt(Math.min(Math.max(second, 0), this.length || second));
    this.tell();
  }

  skip(seconds) { this.seek(this.second + seconds); }

  /** Stop, and let go of the file. */
  close() {
    this.leave();
    this.track = this.untried = undefined;
    this.hasFailed = false;
    this.place = 0;
    this.media.removeAttribute("src");
    this.media.load();
    if (current === this) current = undefined;
    this.tell();
  }

  leave() {
    if (!this.track) return;
    this.media.pause();
    this.listening.end();
    this.keepPlace();
  }

  keepPlace() {
    if (!this.track) return;
    const isOver = this.second >= this.length - NEARLY_OVER_S;
    leaveAt(this.file, isOver ? 0 : this.second);
  }

  /** From the beginning of a pause to its end. What is heard is never touched: the stretches come from the server, breath
   * left out. Four reports of the time a second are too few to meet a short one, so the next one is waited for. */
  skipPause() {
    clearTimeout(this.waitsForPause);
    if (!choices.skipsPauses || !this.isPlaying || this.media.seeking) return;
    const next = this.track.pauses?.find(([, to]) => to > this.second);
    if (!next) return;
    const [from, to] = next;
    const wait_s = (from - this.second) / choices.speed;
    if (wait_s <= 0) this.media.currentTime = to;
    else if (wait_s < SOON_S) this.waitsForPause = setTimeout(() => this.skipPause(), 1000 * wait_s);
  }

  reachEnd() {
    this.keepPlace();
    this.tell();
    if (choices.playsOn) this.playNeighbour(1);
  }

  playNeighbour(by) {
    const track = this.neighbour(by);
    if (track) this.play(track, 0);
  }

  obeyChoices() {
    this.media.playbackRate = this.media.defaultPlaybackRate = choices.speed;
    this.tell();
  }

  /** Two voices at once help nobody. */
  takeOver() {
    if (current && current !== this) current.media.pause();
    current = this;
    this.takeHardwareKeys();
  }

  tell() {
    const { file, second, length, isPlaying } = this;
    this.showPosition();
    document.dispatchEvent(new CustomEvent("acervo:playing", { detail: { file, second, length, isPlaying, playback: this } }));
  }

  takeHardwareKeys() {
    const session = navigator.mediaSession;
    if (!session) return;
    // No name of a customer on a lock screen.
    session.metadata = new MediaMetadata({ title: "Acervo" });
    const actions = {
      play: () => this.resume(),
      pause: () => this.media.pause(),
      seekbackward: () => this.skip(-STEP_S),
      seekforward: () => this.skip(STEP_S),
      seekto: ({ seekTime }) => this.seek(seekTime),
      previoustrack: this.neighbour(-1) ? () => this.playNeighbour(-1) : null,
      nexttrack: this.neighbour(1) ? () => this.playNeighbour(1) : null,
    };
    for (const [action, act] of Object.entries(actions)) {
      try { session.setActionHandler(action, act); } catch { /* a key this browser does not know */ }
    }
  }

  showPosition() {
    const session = navigator.mediaSession;
    if (!session || current !== this) return;
    session.playbackState = this.track ? (this.isPlaying ? "playing" : "paused") : "none";
    const { length } = this;
    if (!session.setPositionState || !length) return;
    session.setPositionState({ duration: length, playbackRate: choices.speed, position: Math.min(this.second, length) });
  }
}
