// One <audio> for the whole visit, in the dock that stays while pages are swapped; every player on a page steers it.

const SPEEDS = [1, 1.5, 2];
const STEP_S = 5;
const written = (seconds) => {
  const whole = Math.max(0, Math.floor(seconds || 0));
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
};
const shownSpeed = (speed) => `${speed.toLocaleString(document.documentElement.lang)}×`;
const remembered = (key, otherwise) => {
  try { return localStorage.getItem(key) ?? otherwise; } catch { return otherwise; }
};
const remember = (key, value) => {
  try { localStorage.setItem(key, value); } catch { /* a browser that keeps nothing still plays */ }
};

/** A second drawing of the waveform, as wide as what has been played. Attributes only: a style would offend the policy
 * as soon as somebody copies the element. */
function addPlayedLayer(wave) {
  if (wave.querySelectorAll("svg").length === 1) wave.firstElementChild.after(wave.firstElementChild.cloneNode(true));
}

function showPlayed(wave, part) {
  const [whole, played] = wave.querySelectorAll("svg");
  const { width, height } = whole.viewBox.baseVal;
  played.setAttribute("width", `${100 * part}%`);
  played.setAttribute("viewBox", `0 0 ${width * part} ${height}`);
}

function show(wave, time, length, of) {
  const range = wave.querySelector("input");
  range.max = length || 1;
  range.value = time;
  range.setAttribute("aria-valuetext", `${written(time)} ${of} ${written(length)}`);
  showPlayed(wave, length ? Math.min(1, time / length) : 0);
}

class NowPlaying extends HTMLElement {
  connectedCallback() {
    this.audio = this.querySelector("audio");
    this.wave = this.querySelector(".wave");
    this.positions = new Map();
    this.speed = SPEEDS.includes(Number(remembered("acervo.speed"))) ? Number(remembered("acervo.speed")) : 1;
    addPlayedLayer(this.wave);
    this.querySelector(".play").addEventListener("click", () => this.toggle());
    this.querySelector(".speed").addEventListener("click", () => this.setSpeed(SPEEDS[(SPEEDS.indexOf(this.speed) + 1) % SPEEDS.length]));
    this.querySelector(".dock__close").addEventListener("click", () => this.close());
    this.wave.querySelector("input").addEventListener("input", (event) => this.seek(Number(event.target.value)));
    steerByKeys(this.wave.querySelector("input"), this, () => this.track);
    for (const event of ["play", "pause", "timeupdate", "seeked", "loadedmetadata", "ended"]) {
      this.audio.addEventListener(event, () => this.tell());
    }
    this.audio.addEventListener("error", () => this.tryNextSource());
    this.setSpeed(this.speed);
    this.useHardwareKeys();
  }

  get isPlaying() { return Boolean(this.track) && !this.audio.paused; }
  get length() { return Number.isFinite(this.audio.duration) ? this.audio.duration : this.track?.length || 0; }

  /** Play this track, from where it was left or from a given second. */
  play(track, from) {
    if (this.track?.file !== track.file) this.load(track);
    if (from !== undefined) this.startAt(from);
    this.audio.play().catch(() => this.tell());
  }

  load(track) {
    this.leave();
    this.track = track;
    this.untried = [...track.sources];
    this.startAt(this.positions.get(track.file) || 0);
    this.hidden = false;
    this.name(track);
    this.tryNextSource();
  }

  tryNextSource() {
    if (!this.track) return;
    const next = this.untried.shift();
    this.failed = !next;
    if (!next) return this.tell();
    const wanted = this.isWanted;
    this.audio.src = next;
    this.audio.playbackRate = this.speed;
    if (wanted) this.audio.play().catch(() => this.tell());
  }

  get isWanted() { return this.track && !this.audio.paused; }

  startAt(second) {
    const go = () => { this.audio.currentTime = second; };
    if (this.audio.readyState > 0) go();
    else this.audio.addEventListener("loadedmetadata", go, { once: true });
  }

  toggle() {
    if (!this.track) return;
    if (this.audio.paused) this.audio.play().catch(() => this.tell());
    else this.audio.pause();
  }

  seek(second) {
    if (!this.track) return;
    this.startAt(Math.min(Math.max(second, 0), this.length || second));
    this.tell();
  }

  skip(seconds) { this.seek(this.audio.currentTime + seconds); }

  setSpeed(speed) {
    this.speed = speed;
    this.audio.playbackRate = this.audio.defaultPlaybackRate = speed;
    remember("acervo.speed", speed);
    const button = this.querySelector(".speed");
    button.textContent = shownSpeed(speed);
    button.setAttribute("aria-label", `${this.dataset.speed}: ${shownSpeed(speed)}`);
    this.tell();
  }

  changeSpeed(by) { this.setSpeed(SPEEDS[Math.min(Math.max(SPEEDS.indexOf(this.speed) + by, 0), SPEEDS.length - 1)]); }

  close() {
    this.leave();
    this.track = undefined;
    this.audio.removeAttribute("src");
    this.audio.load();
    this.hidden = true;
    this.tell();
  }

  leave() {
    if (!this.track) return;
    this.audio.pause();
    const isOver = this.audio.currentTime >= this.length - 1;
    this.positions.set(this.track.file, isOver ? 0 : this.audio.currentTime);
  }

  name(track) {
    // A fresh link, so that htmx learns its address.
    const link = document.createElement("a");
    link.href = track.address;
    link.textContent = track.title;
    this.querySelector(".dock__who a").replaceWith(link);
    window.htmx?.process(link);
    this.wave.querySelectorAll("path").forEach((path) => path.setAttribute("d", track.drawing));
    this.wave.querySelectorAll("svg").forEach((svg) => svg.setAttribute("viewBox", track.box));
  }

  tell() {
    const time = this.track ? this.audio.currentTime : 0;
    this.classList.toggle("is-playing", this.isPlaying);
    this.classList.toggle("is-failed", Boolean(this.failed));
    this.querySelector(".play").setAttribute("aria-label", this.isPlaying ? this.dataset.pause : this.dataset.play);
    this.querySelector(".dock__time").textContent = this.failed ? this.dataset.failed : `${written(time)} / ${written(this.length)}`;
    show(this.wave, time, this.length, this.dataset.of);
    if ("mediaSession" in navigator) navigator.mediaSession.playbackState = this.isPlaying ? "playing" : "paused";
    document.dispatchEvent(new CustomEvent("acervo:playing", { detail: this }));
  }

  useHardwareKeys() {
    if (!("mediaSession" in navigator)) return;
    // No name of a customer on a lock screen.
    navigator.mediaSession.metadata = new MediaMetadata({ title: "Acervo" });
    navigator.mediaSession.setActionHandler("play", () => this.toggle());
    navigator.mediaSession.setActionHandler("pause", () => this.toggle());
    navigator.mediaSession.setActionHandler("seekbackward", () => this.skip(-STEP_S));
    navigator.mediaSession.setActionHandler("seekforward", () => this.skip(STEP_S));
  }
}

class MediaPlayer extends HTMLElement {
  connectedCallback() {
    this.wave = this.querySelector(".wave");
    addPlayedLayer(this.wave);
    showPlayed(this.wave, 0);
    this.listen = (event) => this.follow(event.detail);
    document.addEventListener("acervo:playing", this.listen);
    if (!this.isWired) this.wire();
    this.follow(dock());
  }

  disconnectedCallback() { document.removeEventListener("acervo:playing", this.listen); }

  wire() {
    this.isWired = true;
    this.playButton = this.querySelector(".play");
    this.playLabel = this.playButton.getAttribute("aria-label");
    this.playButton.addEventListener("click", () => this.toggle());
    const range = this.wave.querySelector("input");
    range.addEventListener("change", () => dock().play(this.track, Number(range.value)));
    steerByKeys(range, dock(), () => this.track);
    this.querySelector(".player__back")?.addEventListener("click", () => this.skip(-STEP_S));
    this.querySelector(".player__forward")?.addEventListener("click", () => this.skip(STEP_S));
    this.querySelectorAll("[data-speed]").forEach((button) => button.addEventListener("click", () => dock().setSpeed(Number(button.dataset.speed))));
  }

  get isMine() { return dock()?.track?.file === this.dataset.file; }

  get track() {
    const offered = [1, 2, 3].map((n) => [this.getAttribute(`data-src-${n}`), this.getAttribute(`data-type-${n}`)]).filter(([source]) => source);
    const playable = offered.filter(([, type]) => dock().audio.canPlayType(type === "audio/ogg" ? "audio/ogg; codecs=opus" : type));
    const { file, title, address } = this.dataset;
    const drawing = this.wave.querySelector("path").getAttribute("d");
    const box = this.wave.querySelector("svg").getAttribute("viewBox");
    const sources = (playable.length ? playable : offered).map(([source]) => source);
    return { file, title, address, drawing, box, sources, length: Number(this.dataset.length) || 0 };
  }

  toggle() {
    if (this.isMine) dock().toggle();
    else dock().play(this.track);
  }

  skip(seconds) {
    if (this.isMine) dock().skip(seconds);
    else dock().play(this.track, 0);
  }

  follow(now) {
    if (!now?.audio) return;
    this.querySelectorAll("[data-speed]").forEach((button) => button.setAttribute("aria-pressed", String(Number(button.dataset.speed) === now.speed)));
    const isMine = now.track?.file === this.dataset.file;
    if (!isMine && !this.wasMine) return;
    this.wasMine = isMine;
    const time = isMine ? now.audio.currentTime : now.positions.get(this.dataset.file) || 0;
    const length = isMine ? now.length : Number(this.dataset.length) || 0;
    this.classList.toggle("is-playing", isMine && now.isPlaying);
    this.closest(".card")?.classList.toggle("is-playing", isMine && now.isPlaying);
    this.playButton.setAttribute("aria-label", isMine && now.isPlaying ? now.dataset.pause : this.playLabel);
    show(this.wave, time, length, now.dataset.of);
    const clock = this.querySelector(".player__time b");
    if (clock) clock.textContent = written(time);
  }
}

const dock = () => document.querySelector("now-playing");

/** On a focused position: space plays, arrows go five seconds, whatever the browser's own step is. */
function steerByKeys(range, now, track) {
  range.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -STEP_S, ArrowDown: -STEP_S, ArrowRight: STEP_S, ArrowUp: STEP_S }[event.key];
    if (!step && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    const mine = track();
    if (!mine) return;
    if (now.track?.file !== mine.file) now.play(mine);
    else if (step) now.skip(step);
    else now.toggle();
  });
}

customElements.define("now-playing", NowPlaying);
customElements.define("media-player", MediaPlayer);
