// How far something was heard, told once when it is left: for the audit trail, not for counting.

const LEAST_S = 1;
const LONGEST_STEP_S = 3; // between two reports of the time; more is a jump

/** Measures one <audio> or <video>, and tells `/play/<file>/heard`. */
export class Listening {
  constructor(media, { signal } = {}) {
    this.media = media;
    this.begin(undefined);
    const on = (target, event, act) => target.addEventListener(event, act, { signal });
    for (const event of ["timeupdate", "pause"]) on(media, event, () => this.note());
    on(media, "seeking", () => { this.at = media.currentTime; });
    on(media, "ended", () => this.end());
    // A page that is only covered goes on playing, and is told of later.
    on(document, "visibilitychange", () => { if (document.hidden && media.paused) this.end(); });
    on(window, "pagehide", () => this.end());
  }

  begin(file) {
    this.file = file;
    this.at = this.media.currentTime || 0;
    this.heard = this.reached = 0;
  }

  note() {
    const now = this.media.currentTime;
    const step = now - this.at;
    this.at = now;
    if (this.media.seeking || step <= 0 || step > LONGEST_STEP_S) return;
    this.heard += step;
    this.reached = Math.max(this.reached, now);
  }

  /** Tell what was heard since the beginning, or since the last telling. */
  end() {
    this.note();
    const { file, heard, reached, media } = this;
    const source = media.currentSrc && new URL(media.currentSrc);
    const what = source && source.pathname.split("/").pop();
    if (file && what && heard >= LEAST_S) {
      const told = { listening: freshId(), what, heard_s: heard, reached_s: reached, of_s: finite(media.duration) };
      // Inside a CRM no cookie says who listens; the link that was played does.
      const key = source.searchParams.get("key");
      navigator.sendBeacon(`/play/${file}/heard${key ? `?key=${encodeURIComponent(key)}` : ""}`, new Blob([JSON.stringify(told)], { type: "application/json" }));
    }
    this.begin(file);
  }
}

const finite = (seconds) => (Number.isFinite(seconds) ? seconds : 0);
// randomUUID is missing where an archive is served without TLS on a local network.
const freshId = () => [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
